"""`bide explain`: one job's timeline, why it waits, what comes next and when, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NoReturn

import click

from bide.cli.completion import complete_job
from bide.cli.connection import broker_option, ledger_at
from bide.cli.explain_row import row_story
from bide.cli.failed import against
from bide.cli.ledgers import choose_job, field
from bide.cli.output import echo, echo_json
from bide.cli.replays import replayed
from bide.money.quote import SAID_BY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bide.contract import Failure
    from bide.ledger import Ledger, Record
    from bide.ledger.processes import RunningProcess
    from bide.ledger.snapshot import JobSnapshot


#: Addresses of results that were not stored are shown up to this number.
MOST_ADDRESSES = 4


@click.command()
@click.argument("job_id", metavar="JOB", shell_complete=complete_job)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def explain(job_id: str, broker: str | None, as_json: bool) -> None:
    """Tell a job's story: what happened, why it waits, what comes next, what to do."""
    from bide.ledger.processes import running  # noqa: PLC0415 - Redis takes a while, and --help does not need it
    from bide.ledger.snapshot import take_snapshot  # noqa: PLC0415 - slow to import, and --help does not need it

    name = choose_job(broker, job_id)
    with ledger_at(broker) as ledger:
        record = _found(ledger, job_id)
        if record is None:
            story = row_story(ledger, job_id) or _unknown(job_id)
        else:
            again_as = replayed(ledger, [record.job_id]).get(record.job_id)
            story = explained(take_snapshot(ledger, record), running(ledger.server), replayed_as=again_as)
    story = {**field(name), **story}
    if as_json:
        echo_json(story)
    else:
        echo(*_lines(story))


def _found(ledger: Ledger, job_id: str) -> Record | None:
    """The record of a job, or of the one whose result it waits for."""
    record = ledger.jobs.find(job_id)
    return ledger.jobs.read(record.account, record.following) if record and record.following else record


def _unknown(job_id: str) -> NoReturn:
    run, _, row = job_id.rpartition(".")
    rows = f"; rows of a run that is over: `bide bulk results {run} --jsonl`" if run and row.isdigit() else ""
    raise click.ClickException(f"nothing is known of a job {job_id!r}: never submitted here, or forgotten since{rows}")


def explained(
    snapshot: JobSnapshot, processes: Sequence[RunningProcess], *, replayed_as: str | None = None
) -> dict[str, Any]:
    """The whole story as JSON; times are ISO 8601 in UTC. `processes` are those that run."""
    from bide.cli.obstacles import obstacles  # noqa: PLC0415 - pydantic takes a while, and --help does not need it
    from bide.describe import describe  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.ledger import timeline  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.ledger.charges import cost_of, price_of  # noqa: PLC0415 - slow to import, and --help does not need it

    record = snapshot.record
    failure = record.failure if record.text("error") and record.text("state") != "queued" else None
    at, what = timeline.next_look(snapshot)
    missing = obstacles(snapshot, processes)
    metadata = record.request.metadata if record.request_json else {}
    price, cost = price_of(record), cost_of(record)
    return {
        "job_id": record.job_id,
        "state": record.text("state"),
        "provider": record.account.provider,
        "account": record.account.account,
        "operation": record.text("op"),
        "lane": record.text("lane") or None,
        "tenant": record.text("tenant") or None,
        "what": describe(record.request) if record.request_json else None,
        "warnings": _warnings(record),
        "partial": record.partial or None,
        "tried": [each.model_dump(mode="json") for each in record.tried],
        "why": timeline.why(snapshot),
        "next_at": _iso(at),
        "next": what or None,
        "to_do": _to_do(snapshot, failure, missing),
        "obstacles": missing,
        "replayed_as": replayed_as,
        "replay": None if replayed_as else _replay(record, failure),
        "money": timeline.money(record),
        "price": {**price.to_wire().model_dump(), "source": record.text("priced_by")} if price else None,
        "cost": cost.model_dump() if cost else None,
        "provider_job_id": record.text("pid") or None,
        "polls": int(record.number("polls")),
        "polls_are": _poll_timing(snapshot),
        "deadline_at": _iso(record.number("deadline")),
        "progress": record.progress.to_json() if record.progress else None,
        "metadata": metadata,
        "replay_of": metadata.get("replay_of"),
        "failure": failure.model_dump(mode="json") if failure else None,
        "not_stored": [media.url for media in record.outputs] if failure else [],
        "timeline": [
            {
                "at": _iso(event.at),
                "seconds": round(event.at - record.number("created"), 1),
                "what": event.what,
                "detail": event.detail,
            }
            for event in timeline.events(snapshot)
        ],
    }


def _to_do(snapshot: JobSnapshot, failure: Failure | None, missing: list[str]) -> str:
    """What a person does about the job: about its account, its budget, processes and store, else by its state."""
    from bide.cli.advice import remedy  # noqa: PLC0415 - slow to import, and --help does not need it

    record, to_do = snapshot.record, list(missing)
    if snapshot.account_state.paused and record.text("state") == "queued":
        to_do.insert(0, f"mend the account, then `bide resume {' '.join(record.account)}`: the job goes on by itself")
    if budget := record.text("over_budget"):
        to_do.insert(0, _raise(budget))
    by_state = remedy(record.state, failure.code if failure else None)
    if not to_do or not by_state.startswith("nothing"):
        to_do.append(by_state)
    return "; ".join(to_do)


def _raise(budget: str) -> str:
    """What a person does about a budget that has no room."""
    from bide.money.budgets import run_of  # noqa: PLC0415 - slow to import, and --help does not need it

    if run := run_of(budget):
        return f"`bide bulk resume {run} --budget MORE` raises the budget of its run; or let it wait"
    return f"raise the budget {budget} in the file of budgets, or let it wait: `bide budgets` shows it"


def _replay(record: Record, failure: Failure | None) -> str | None:
    """How a failed job is bought again; None where that is not possible, or would end in the same way."""
    from bide.contract import FailureCode  # noqa: PLC0415 - slow to import, and --help does not need it

    if record.text("run"):
        return f"`bide bulk replay {record.text('run')}` buys the failed rows of its run again, as a new run"
    if failure is None or failure.code is FailureCode.INVALID_REQUEST or against(record):
        return None
    if failure.code is FailureCode.MODERATED:
        return "only as `bide failed replay --code moderated`: the same request would be refused again"
    return f"`bide failed replay {record.job_id}` buys the same again, as a new job"


def _warnings(record: Record) -> list[str]:
    """What the caller should know of the request, as its result has it."""
    from bide.errors import BideError  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.providers import find  # noqa: PLC0415 - slow to import, and --help does not need it

    if not record.request_json:
        return []
    try:
        return [*find(record.account.provider).warnings(record.text("op"), record.request.params)]
    except BideError:  # the adapter is installed elsewhere
        return []


def _poll_timing(snapshot: JobSnapshot) -> str | None:
    """Why a job's polls are timed so, by the provider's own plan; the command does not know the worker's settings."""
    from bide.errors import BideError  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.polling.duration_model import DurationModel  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.polling.timing import why  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.providers import find  # noqa: PLC0415 - slow to import, and --help does not need it

    record, estimate = snapshot.record, snapshot.record.number("estimate") or None
    of_lane, of_operation = map(DurationModel.from_text, (snapshot.lane_model, snapshot.duration_model))
    duration_model = of_operation if of_lane.about(estimate) is None else of_lane
    if duration_model.about(estimate) is None and record.text("state") != "running":
        return None  # nothing is known, and no poll is due
    of = f" (lane {record.text('lane')})" if duration_model is of_lane else ""
    try:
        plan = find(record.account.provider).plan_for(record.text("op"))
        return why(duration_model, plan, estimate_seconds=estimate) + of
    except (BideError, KeyError):  # the adapter is installed elsewhere, or no longer has the operation
        return None


def _lines(story: dict[str, Any]) -> Iterator[str]:
    of = f"{story['provider']}/{story['account']}" if story["account"] else story["provider"]
    yield f"job {story['job_id']}  {story['state']}  {of}"
    rows = [
        ("ledger", story.get("ledger")),
        ("what", story["what"]),
        ("lane", story["lane"]),
        ("tenant", story["tenant"]),
        *_listed("warning", story["warnings"]),
        ("partial", story["partial"]),
        *_listed("tried", [_tried(each) for each in story["tried"]]),
        ("metadata", ", ".join(f"{name}={shorten(str(value), 60)}" for name, value in story["metadata"].items())),
        *_listed("why", story["why"]),
        ("next", _next(story)),
        ("money", story["money"]),
        ("price", _price(story["price"])),
        ("cost", _cost(story["cost"])),
        ("polls", story["polls_are"]),
        ("to do", story["to_do"]),
        ("not stored", _few(story["not_stored"])),
        ("again", f"bought again as job {story['replayed_as']}" if story["replayed_as"] else story["replay"]),
    ]
    yield from (f"  {name:10} {value}" for name, value in rows if value)
    yield ""
    for event in story["timeline"]:
        after = f"  {event['seconds']:+9.1f} s" if event["seconds"] is not None else ""
        yield f"{_clock(event['at'])}{after}  {event['what']:9}  {event['detail']}".rstrip()
    if story["obstacles"]:  # once more, since a long story pushes the first one off the screen
        yield from ("", f"to do: {story['to_do']}")


def _price(price: dict[str, str] | None) -> str | None:
    return f"{price['amount']} {price['unit']} a purchase, {SAID_BY.get(price['source'], '')}" if price else None


def _cost(cost: dict[str, str] | None) -> str | None:
    if cost is None:
        return None
    by_price = SAID_BY.get(cost.get("source", ""))
    return f"{cost['amount']} {cost['unit']}, {f'its price {by_price}' if by_price else 'as the provider says'}"


def _tried(each: dict[str, Any]) -> str:
    cost = f", {each['cost']['amount']} {each['cost']['unit']}" if each.get("cost") else ""
    return f"{each['provider']}/{each['account']} {each['operation']}: {each['code']}{cost}"


def _few(addresses: list[str]) -> str:
    """The first of some addresses, for a person."""
    more = f" and {len(addresses) - MOST_ADDRESSES} more (--json)" if len(addresses) > MOST_ADDRESSES else ""
    return f"{', '.join(addresses[:MOST_ADDRESSES])}{more}"


def _listed(name: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A row for each text; the name stands beside the first."""
    yield from ((name if not number else "", text) for number, text in enumerate(texts))


def _next(story: dict[str, Any]) -> str | None:
    return f"{_clock(story['next_at'])} UTC: {story['next']}" if story["next_at"] else None


def _iso(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat() if at else None


def _clock(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S}"
