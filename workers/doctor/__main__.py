"""Run all checks against a set-up and say on a line each how it stands; exits with 1 if something is broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial

import click
from celery import Celery

from bide.cli.output import PrintableErrors, echo, echo_json
from bide.errors import ConfigurationError
from bide.providers.declared.mistakes import MistakesError
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from config import logging as bide_logging
from config.settings import settings as read_settings
from workers.accounts import check_providers as check_names
from workers.doctor.findings import Finding, Level, ok, problem, run
from workers.doctor.outside import check_providers
from workers.doctor.processes import check_flower, check_ledger, check_sweep, check_worker_stores, check_workers
from workers.doctor.receipts import check_receipts, check_receipts_rule
from workers.doctor.servers import can_be_written, check_servers
from workers.doctor.stores import check_retention, check_store
from workers.doctor.work import check_budgets, check_queues, check_work
from workers.toolbox import Toolbox

_SIGNS = {Level.OK: ("ok", "green"), Level.WARNING: ("warn", "yellow"), Level.PROBLEM: ("FAIL", "red")}


@click.command(cls=PrintableErrors)
@click.option("--flower", metavar="URL")
@click.option("--json", "as_json", is_flag=True)
def main(flower: str | None, as_json: bool) -> None:
    """Examine a running set-up."""
    shown = []
    for finding in examine(flower):
        shown.append(finding)
        if not as_json:
            _print(finding)
    broken = any(finding.level is Level.PROBLEM for finding in shown)
    if as_json:
        echo_json({"ok": not broken, "findings": list(map(asdict, shown))})
    else:
        echo("", _summary(shown))
    sys.exit(int(broken))


def examine(flower: str | None) -> Iterator[Finding]:
    """All findings, as they come in. Without usable settings there is nothing else to look at."""
    bide_logging.configure("CRITICAL", stream=sys.stderr)
    try:
        settings = read_settings()
    except ConfigurationProblems as problems:
        for each in problems.problems:
            yield problem(f"setting {each.variable}", each.wrong, each.remedy)
        return
    except MistakesError as error:
        yield from _mistakes(error)
        return
    bide_logging.register_secrets(settings.secrets())
    yield from _examine(settings, flower)


def _mistakes(error: MistakesError) -> Iterator[Finding]:
    yield from (problem(f"file {it.place}", it.says, it.remedy) for it in error.mistakes)


def _examine(settings: Settings, flower: str | None) -> Iterator[Finding]:
    try:
        check_names(settings)
    except MistakesError as error:  # in files of providers
        yield from _mistakes(error)
        return
    except ConfigurationError as error:
        yield problem("settings", str(error), "correct the name, or install what brings that provider")
        return
    yield ok("settings", "each is right, and those that must agree do")
    from workers.app import app  # noqa: PLC0415 - it ends the process where the settings can't be used

    tools = Toolbox(settings, app)
    servers = list(run("redis", partial(check_servers, settings)))
    yield from servers
    yield from run("object store", lambda: check_store(tools.storage))
    yield from run("retention", lambda: check_retention(tools.storage, settings.retention))
    yield from run("receipts", partial(check_receipts, settings, tools.storage, tools.receipt_folder))
    yield from run("receipts' rule", partial(check_receipts_rule, settings, tools.storage))
    yield from run("providers", partial(check_providers, settings, tools))
    if can_be_written(servers):
        yield from _examine_running(settings, tools, app)
    yield from run("flower", partial(check_flower, settings, flower))


def _examine_running(settings: Settings, tools: Toolbox, app: Celery) -> Iterator[Finding]:
    yield from run("workers", partial(check_workers, app))
    yield from run("stores of workers", partial(check_worker_stores, tools))
    yield from run("ledger", partial(check_ledger, tools))
    yield from run("queues", partial(check_queues, app))
    yield from run("sweep", partial(check_sweep, settings, tools))
    yield from run("budgets", partial(check_budgets, settings, tools))
    yield from run("jobs", partial(check_work, settings, tools))


def _print(finding: Finding) -> None:
    word, colour = _SIGNS[finding.level]
    sign = click.style(f"{word:4}", fg=colour, bold=finding.level is not Level.OK)
    remedy = [f"{'':6}to do: {finding.remedy}"] if finding.remedy else []
    echo(f"  {finding.check}: {finding.says}", *remedy, mark=sign)


def _summary(shown: Sequence[Finding]) -> str:
    count = {level: sum(finding.level is level for finding in shown) for level in Level}
    if not count[Level.PROBLEM] + count[Level.WARNING]:
        return f"all well: {count[Level.OK]} checks"
    return f"{count[Level.PROBLEM]} to mend, {count[Level.WARNING]} to look at, {count[Level.OK]} well"


if __name__ == "__main__":
    main(prog_name="bide doctor")
