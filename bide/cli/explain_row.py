"""`bide explain RUN.ROW` of a row whose record went with its run: the story of its line in the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import deployment_environment
from bide.cli.stores import object_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bide.ledger import Ledger

#: What `explain` says of a row, where the record of another job would say why it waits.
OVER = "it is over: its record went when its run had its result; this is its line in the results"


def row_story(ledger: Ledger, job_id: str) -> dict[str, Any] | None:
    """The story of a row that has no record, as `explain.explained` tells it; None for what is no row of a known run.

    Raises `ClickException` for a row that has no job yet, or whose results can't be found, and `StorageError`.
    """
    from bide.bulk.names import RUN_ID  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.runs import Runs  # noqa: PLC0415 - slow to import, and --help does not need it

    run_id, _, row = job_id.rpartition(".")
    if not (RUN_ID.fullmatch(run_id) and row.isascii() and row.isdigit()):
        return None
    line = _line(run_id, int(row))
    if line is not None:
        return line_story(run_id, line)
    run = Runs(ledger.server).read(run_id)
    if run is None:
        return None
    if int(row) not in range(1, run.number("rows") + 1):
        raise click.ClickException(f"run {run_id} has no row {row}: its rows are 1 to {run.number('rows')}")
    if run.over:
        raise click.ClickException(
            f"row {row} of run {run_id} is over, and its line is not in the results that are known here: "
            "set BIDE_S3__BUCKET, as the workers have it"
        )
    raise click.ClickException(
        f"row {row} of run {run_id} has no job yet, or its result is being written: the run is {run.state}, "
        f"{run.done} of {run.number('rows')} rows are done"
    )


def _line(run_id: str, row: int) -> dict[str, Any] | None:
    from bide.bulk import results  # noqa: PLC0415 - slow to import, and --help does not need it

    storage = object_store(deployment_environment())
    if storage is None:
        return None
    return next((line for line in results.read(storage, run_id) if line["row"] == row), None)


def line_story(run_id: str, line: dict[str, Any]) -> dict[str, Any]:
    """The story of a line of a run's results."""
    from bide.describe import describe_raw  # noqa: PLC0415 - slow to import, and --help does not need it

    request, failure = line["request"], line["error"]
    copied = [f"it repeats row {line['copy_of']}, and was bought with it"] if "copy_of" in line else []
    return {
        "job_id": f"{run_id}.{line['row']}",
        "state": line["state"],
        "provider": request["provider"],
        "account": line.get("account"),
        "operation": request["operation"],
        "lane": None,
        "tenant": request.get("tenant"),
        "what": describe_raw(request["provider"], request["operation"], request["params"]),
        "warnings": line.get("warnings", []),
        "partial": line.get("partial"),
        "tried": line.get("tried") or (failure or {}).get("tried", []),
        "why": [OVER, *copied],
        "next_at": None,
        "next": None,
        "to_do": _to_do(run_id, line),
        "obstacles": [],
        "replayed_as": None,
        "replay": f"`bide bulk replay {run_id}` buys the failed rows of its run again, as a new run"
        if line["state"] == "failed"
        else None,
        "money": line.get("money") or _money(line),
        "price": None,  # its cost names the price, where one was known
        "cost": line.get("cost"),
        "provider_job_id": line.get("provider_job_id"),
        "polls": line["polls"],
        "polls_are": None,
        "deadline_at": None,
        "metadata": request["metadata"],
        "replay_of": None,
        "failure": failure,
        "not_stored": [],
        "timeline": list(_events(line)),
    }


def _to_do(run_id: str, line: dict[str, Any]) -> str:
    from bide.cli.advice import remedy  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.contract import FailureCode, JobState  # noqa: PLC0415 - slow to import, and --help does not need it

    if line["state"] == "skipped":
        return "nothing; a run without the limit --max-jobs, or with a larger one, buys it"
    if line["state"] == "unconfirmed":
        return f"`bide bulk refresh {run_id}` brings in what became of it, if an operator has settled it"
    return remedy(JobState(line["state"]), FailureCode(line["error"]["code"]) if line["error"] else None)


def _money(line: dict[str, Any]) -> str:
    """What the line of an earlier release says about it."""
    if line["submitted_at"]:
        return "bought"
    known = line["state"] in ("skipped", "failed") and line["error"]["code"] not in ("submission_unknown", "lost")
    return "not bought" if known else "may have been bought"


def _events(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    outputs, failure = [each["uri"] for each in line["outputs"]], line["error"]
    end = f"{failure['code']}: {failure['message']}" if failure else f"stored {', '.join(outputs)}"
    accepted = f"by the provider as {line['provider_job_id']}" if line.get("provider_job_id") else "by the provider"
    for at, what, detail in (
        (line["submitted_at"], "accepted", accepted),
        (line["finished_at"], line["state"], end),
    ):
        if at:
            yield {"at": at, "seconds": None, "what": what, "detail": detail}
