"""`bide erase`: removes what jobs were asked and what they made; what they cost stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bide.cli.completion import complete_job
from bide.cli.connection import broker_option, has_address, known_ledger, known_store, ledger_at, results_beside
from bide.cli.filled import FILLED, Moment
from bide.cli.jobs import Pair
from bide.cli.output import echo, echo_json
from bide.cli.storage import retention

if TYPE_CHECKING:
    from bide.erasure.report import Report
    from bide.erasure.wanted import Wanted

#: Jobs that are shown one by one.
MOST_SHOWN = 20


@click.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1, shell_complete=complete_job)
@click.option("--tenant", type=FILLED, metavar="NAME", help="Only this tenant's jobs.")
@click.option("--metadata", type=Pair(plain=True), multiple=True, help="Only jobs with this metadata. Repeatable.")
@click.option(
    "--before",
    type=Moment(),
    metavar="DATE",
    help="Only jobs that were opened before this date (UTC).",
)
@click.option("--versions", is_flag=True, help="Also remove all old versions that the bucket keeps.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@broker_option
def erase(job_ids: Sequence[str], dry_run: bool, yes: bool, as_json: bool, broker: str | None, **how: Any) -> None:
    """Erase jobs: their objects, inputs, records and results. What they cost stays in the book.

    All conditions must hold together. A job that is not over is not erased. Exit code 1 where something was left.
    """
    from bide.erasure.erase import Eraser  # noqa: PLC0415 - slow to import, and --help does not need it

    versions = how.pop("versions")
    wanted, store, days = _wanted(job_ids, **how), known_store(broker), retention(broker)
    known = known_ledger(store, broker) if has_address() else None
    with ledger_at(broker) as ledger, results_beside(ledger, broker) as results:

        def eraser(*, dry_run: bool) -> Eraser:
            return Eraser(
                ledger,
                store,
                results,
                wanted,
                versions=versions,
                dry_run=dry_run,
                retention=days,
                known=known,
            )

        if not (yes or dry_run):
            found = eraser(dry_run=True).run()
            if not found.erased:
                _show(found, as_json=as_json)
                raise SystemExit(0 if found.whole else 1)
            echo(*_lines(found), err=True)
            click.confirm(f"Erase {len(found.erased)} jobs? It can't be undone.", abort=True, err=True)
        report = eraser(dry_run=dry_run).run()
    _show(report, as_json=as_json)
    if not report.whole:
        raise SystemExit(1)


def _wanted(
    job_ids: Sequence[str], tenant: str | None, metadata: Sequence[tuple[str, str]], before: datetime | None
) -> Wanted:
    from bide.client.requests import check_job_id  # noqa: PLC0415 - takes a while, and --help does not need it
    from bide.erasure.wanted import Wanted  # noqa: PLC0415 - as above

    if not (job_ids or tenant or metadata or before):
        raise click.UsageError("say which jobs: JOB, --tenant, --metadata or --before")
    ids = frozenset(map(check_job_id, job_ids))
    return Wanted(ids, tenant or "", tuple(metadata), before)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        echo_json({**report.to_json(), "report": None if report.dry_run else report.key})
    else:
        echo(*_lines(report))


def _lines(report: Report) -> Iterator[str]:
    """The report for a person."""
    if report.dry_run:
        yield f"{len(report.erased)} jobs would be erased, with {report.objects} objects"
        yield from _some(report.erased)
    else:
        runs = f", rows of {len(report.runs)} runs" if report.runs else ""
        yield (
            f"{len(report.erased)} jobs are erased: {report.objects} objects, {report.results} Celery results{runs}; "
            "what they cost stays in the book"
        )
    yield from _some([f"not erased: {job_id}: {why}" for job_id, why in sorted(report.refused.items())])
    yield from _some([f"nothing fits: {job_id}" for job_id in report.unknown])
    yield from _some([f"erased before: {job_id}" for job_id in report.erased_before])
    for kind, what in report.unreached.items():
        yield from _some([f"not reached, {kind}: {each}" for each in what])
    if report.shared_uploads:
        yield f"{report.shared_uploads} uploaded inputs stay, since other jobs name them"
    if report.versions_stay:
        yield "the bucket keeps old versions: what was removed can be brought back from them; --versions removes them"
    elif report.versions_stay is None:
        yield "the store does not say whether it keeps old versions"
    if not report.dry_run:
        yield "not in reach:"
        yield from (f"  {each}" for each in _out_of_reach())
        yield f"report: {report.key}"


def _some(lines: Sequence[Any]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:MOST_SHOWN])
    if len(lines) > MOST_SHOWN:
        yield f"  and {len(lines) - MOST_SHOWN} more"


def _out_of_reach() -> tuple[str, ...]:
    from bide.erasure.report import OUT_OF_REACH  # noqa: PLC0415 - slow to import, and --help does not need it

    return OUT_OF_REACH
