"""What a shell completes: providers, operations, and the ids of recent jobs and runs.

A completion never fails and never waits long: where the deployment does not answer, it offers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from bide.ledger import Ledger
    from bide.ledger.listing import Job

#: The most ids that are offered, and the most records that are read for them.
MOST_IDS, MOST_RECORDS = 50, 2000


def complete_provider(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The providers that are installed."""
    from bide.providers import installed  # noqa: PLC0415 - the adapters are loaded only where they are shown

    return _matching(sorted(installed()), incomplete)


def complete_operation(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The operations of the provider that stands before."""
    from bide.providers import installed  # noqa: PLC0415 - as in complete_provider

    adapter = installed().get(context.params.get("provider") or "")
    return _matching(sorted(adapter.operations) if adapter else (), incomplete)


def complete_job(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The latest jobs, with state and operation beside each."""
    return _unless_it_fails(context, lambda: _jobs(context, incomplete))


def complete_run(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The runs that are remembered."""
    return _unless_it_fails(context, lambda: _runs(context, incomplete))


def _jobs(context: click.Context, incomplete: str) -> list[CompletionItem]:
    from bide.cli.ledgers import flat, from_each  # noqa: PLC0415 - Redis takes a while, and --help does not need it
    from bide.contract import JobState  # noqa: PLC0415 - pydantic takes a while, too
    from bide.ledger.listing import Listing, Wanted  # noqa: PLC0415 - pydantic takes a while, too

    wanted = Wanted(frozenset(JobState))

    def read(ledger: Ledger) -> Sequence[Job]:
        return Listing(ledger.executor, most_records=MOST_RECORDS).search(wanted, most=MOST_IDS).jobs

    return [
        CompletionItem(job.job_id, help=f"{job.state} {job.operation}")
        for _, job in flat(from_each(context.params.get("broker"), read))
        if job.job_id.startswith(incomplete)
    ]


def _runs(context: click.Context, incomplete: str) -> list[CompletionItem]:
    from bide.bulk.runs import Runs  # noqa: PLC0415 - Redis takes a while, and --help does not need it
    from bide.cli.ledgers import flat, from_each  # noqa: PLC0415 - Redis takes a while, and --help does not need it

    runs = flat(from_each(context.params.get("broker"), lambda ledger: list(Runs(ledger.server).all())))
    return _matching((run.run_id for _, run in runs), incomplete)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _unless_it_fails(context: click.Context, read: Callable[[], list[CompletionItem]]) -> list[CompletionItem]:
    """What `read` gives, in the context that commands run in; whatever it says of ledgers that are away is left out."""
    try:
        with context.scope(cleanup=False), redirect_stderr(StringIO()):
            return read()
    except Exception:  # whatever is wrong, the command says it once it runs
        return []
