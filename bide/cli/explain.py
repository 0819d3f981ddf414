"""`bide explain`: one job's timeline, why it waits, when it is looked at next, and what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import broker_option, ledger_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bide.ledger import Ledger, Record
    from bide.ledger.sight import Sight


@click.command()
@click.argument("job_id", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def explain(job_id: str, broker: str | None, as_json: bool) -> None:
    """Tell a job's story: what happened, why it waits, what comes next, what to do."""
    from bide.ledger.sight import look  # noqa: PLC0415 - Redis takes a while, and --help does not need it

    with ledger_at(broker) as ledger:
        told = explained(look(ledger, _found(ledger, job_id)))
    click.echo(json.dumps(told, indent=2, ensure_ascii=False) if as_json else "\n".join(_lines(told)))


def _found(ledger: Ledger, job_id: str) -> Record:
    """The record of a job, or of the one whose result it waits for; raises `ClickException`."""
    record = ledger.find(job_id)
    if record and record.following:
        record = ledger.read(record.account, record.following)
    if record is None:
        raise click.ClickException(f"nothing is known of a job {job_id!r}: never submitted here, or forgotten since")
    return record


def explained(sight: Sight) -> dict[str, Any]:
    """All of it, for a program; times are ISO 8601 in UTC."""
    from bide.cli.advice import remedy  # noqa: PLC0415 - pydantic takes a while, and --help does not need it
    from bide.describe import describe  # noqa: PLC0415 - as above
    from bide.ledger import timeline  # noqa: PLC0415 - as above

    record, stands = sight.record, sight.standing
    failure = record.failure if record.text("error") and record.text("state") != "queued" else None
    at, what = timeline.next_look(sight)
    mend = f"mend the account, then `bide resume {' '.join(record.account)}`; "
    to_do = remedy(record.state, failure.code if failure else None)
    return {
        "job_id": record.job_id,
        "state": record.text("state"),
        "provider": record.account.provider,
        "account": record.account.account,
        "operation": record.text("op"),
        "what": describe(record.request) if record.request_json else None,
        "why": timeline.why(sight),
        "next_at": _iso(at),
        "next": what or None,
        "to_do": mend + to_do if stands.paused and record.text("state") == "queued" else to_do,
        "money": timeline.money(record),
        "provider_job_id": record.text("pid") or None,
        "polls": int(record.number("polls")),
        "polls_are": _pace(sight),
        "deadline_at": _iso(record.number("deadline")),
        "replay_of": (record.request.metadata.get("replay_of") if record.request_json else None),
        "failure": failure.model_dump(mode="json") if failure else None,
        "timeline": [
            {
                "at": _iso(event.at),
                "seconds": round(event.at - record.number("created"), 1),
                "what": event.what,
                "detail": event.detail,
            }
            for event in timeline.events(sight)
        ],
    }


def _pace(sight: Sight) -> str | None:
    """Why its polls are when they are, once something was learned about such jobs; this command knows no settings."""
    from bide.errors import BideError  # noqa: PLC0415 - as above
    from bide.experience import Experience  # noqa: PLC0415 - as above
    from bide.pace import why  # noqa: PLC0415 - as above
    from bide.providers import find  # noqa: PLC0415 - as above

    record, experience = sight.record, Experience.from_text(sight.experience)
    estimate = record.number("estimate") or None
    if experience.about(estimate) is None:
        return None
    try:
        return why(experience, find(record.account.provider).plan_for(record.text("op")), estimate_seconds=estimate)
    except (BideError, KeyError):  # the adapter is installed elsewhere, or no longer has the operation
        return None


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield f"job {told['job_id']}  {told['state']}  {told['provider']}/{told['account']}"
    rows = {
        "what": told["what"],
        "why": told["why"][0],
        **{f"{'':{index}}": reason for index, reason in enumerate(told["why"][1:], start=1)},
        "next": _next(told),
        "money": told["money"],
        "polls": told["polls_are"],
        "replay of": told["replay_of"],
        "to do": told["to_do"],
    }
    yield from (f"  {name.strip():10} {value}" for name, value in rows.items() if value)
    yield ""
    for event in told["timeline"]:
        yield f"{_clock(event['at'])}  {event['seconds']:+9.1f} s  {event['what']:9}  {event['detail']}".rstrip()


def _next(told: dict[str, Any]) -> str | None:
    return f"{_clock(told['next_at'])} UTC: {told['next']}" if told["next_at"] else None


def _iso(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat() if at else None


def _clock(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S}"
