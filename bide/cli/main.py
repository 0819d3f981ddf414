"""The root of the `bide` command: its sub-commands in sections, and errors as one readable line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from bide import __version__
from bide.cli.accounts import pause, resume
from bide.cli.adopt import adopt
from bide.cli.advice import explain as explain_error
from bide.cli.advice import explain_redis
from bide.cli.budgets import budgets
from bide.cli.bulk import bulk
from bide.cli.callbacks import callbacks
from bide.cli.deployment import catalog, demo, up
from bide.cli.describe import describe
from bide.cli.doctor import doctor
from bide.cli.erase import erase
from bide.cli.explain import explain
from bide.cli.failed import failed
from bide.cli.hooks import hooks
from bide.cli.init import init
from bide.cli.jobs import cancel, status, submit, wait
from bide.cli.ledger import ledger
from bide.cli.ledgers import exit_code
from bide.cli.listing import jobs
from bide.cli.metrics import metrics
from bide.cli.objects import get, open_
from bide.cli.output import PrintableErrors, ProblemsError
from bide.cli.pages import pages
from bide.cli.price import price
from bide.cli.providers import providers
from bide.cli.recover import recover
from bide.cli.schedules import schedules
from bide.cli.spend import spend
from bide.cli.storage import storage
from bide.cli.tenants import tenants
from bide.cli.unconfirmed import unconfirmed
from bide.errors import BideError, ConfigurationError, InvalidRequestError
from bide.printable import printable

#: The help's sections, in the order in which a newcomer needs them.
SECTIONS: Mapping[str, tuple[click.Command, ...]] = {
    "Try it": (demo, init, up),
    "Jobs": (price, submit, status, wait, cancel, jobs, explain, open_, get),
    "Bulk": (bulk,),
    "Unconfirmed and failed": (unconfirmed, failed),
    "Callbacks": (callbacks,),
    "Providers": (providers, describe, catalog),
    "Schedules": (schedules,),
    "Money": (spend, budgets),
    "Operations": (
        doctor,
        metrics,
        ledger,
        recover,
        adopt,
        pages,
        hooks,
        tenants,
        storage,
        erase,
        pause,
        resume,
    ),
}


class Sections(PrintableErrors, click.Group):
    """A group that lists its commands by section and prints our errors without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [command.name or "" for commands in SECTIONS.values() for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.commands))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                rows = [((it.name or "").ljust(width), it.get_short_help_str(limit=80)) for it in commands]
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return _ended(ctx, super().invoke(ctx))
        except (BideError, TimeoutError) as error:
            raise as_printed(error) from None
        except Exception as error:
            if message := explain_redis(error):
                raise click.ClickException(printable(message)) from None
            raise


def _ended(context: click.Context, reply: Any) -> Any:
    """The reply of a command that went well; its exit code says whether all ledgers answered."""
    if code := exit_code():
        context.exit(code)
    return reply


def as_printed(error: Exception) -> click.ClickException:
    """An error of ours as one of click's."""
    if isinstance(error, InvalidRequestError | ConfigurationError):  # may list bad rows, or mistakes in files
        return ProblemsError(printable(explain_error(error), keep="\n"))
    return click.ClickException(printable(explain_error(error)))


@click.group(
    cls=Sections,
    commands=[command for commands in SECTIONS.values() for command in commands],
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The broker is BIDE_BROKER_URL, from the environment or .env, else that of a `bide up` or `bide demo` "
    "running in this folder.",
)
@click.version_option(__version__, prog_name="bide")
def main() -> None:
    """Submit a generation job, bide, collect the result."""
