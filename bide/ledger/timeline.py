"""A job's story for people: its events, the reasons for which it waits, what comes next, and what was paid for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from bide.contract import Charged, FailureCode, JobState
from bide.ledger.records import Record
from bide.ledger.settling import evidence, settles_until, settling_how
from bide.ledger.snapshot import JobSnapshot
from bide.ledger.unconfirmed import stopping
from bide.money.budgets import title

#: How a record's note ends where no process can ask about its job.
WITHOUT_ADAPTER = "the job waits until it is back"

#: Without a sweep for this long no worker runs for the account [seconds].
UNSWEPT_SECONDS = 60.0

#: A poll or a message that is later than this waits for a process that is not there [seconds].
LATE_SECONDS = 15.0


@dataclass(frozen=True)
class Event:
    """One event of a job, at `at` [seconds since the epoch]."""

    at: float
    what: str
    detail: str = ""


def events(snapshot: JobSnapshot) -> list[Event]:
    """What happened, in order; of submits only the last has its time, and polls are remembered to the tenth."""
    created = snapshot.record.number("created")
    found = [
        _opened(snapshot.record),
        *_moved(snapshot.record),
        *_submitted(snapshot.record),
        *_settled(snapshot.record),
        *_polled(snapshot),
        *_end(snapshot),
    ]
    return sorted(found, key=lambda event: round(event.at - created, 1))


def _opened(record: Record) -> Event:
    kind = "bulk" if record.text("bulk") else "interactive"
    run = f", a row of run {record.text('run')}" if record.text("run") else ""
    return Event(record.number("created"), "opened", f"{kind}{run}, may take {record.number('allowed'):g} s")


def _submitted(record: Record) -> Iterator[Event]:
    if record.text("intended"):
        yield Event(record.number("intended"), "submit", f"attempt {record.text('submits')}")
    if record.text("submitted"):
        estimate = f", which estimates {record.number('estimate'):g} s" if record.text("estimate") else ""
        yield Event(record.number("submitted"), "accepted", f"by the provider as {record.text('pid')}{estimate}")


def _moved(record: Record) -> Iterator[Event]:
    accounts = [*(move.account for move in record.moves), str(record.account)]
    for move, to in zip(record.moves, accounts[1:], strict=True):
        known_as = f" (there {move.provider_job_id})" if move.provider_job_id else ""
        why = f"{move.tried.code}: {move.tried.message}"
        yield Event(move.at, "fallback", f"left {move.account}{known_as}: {why}; went on at {to}")


def _polled(snapshot: JobSnapshot) -> Iterator[Event]:
    missing = int(snapshot.record.number("polls")) - len(snapshot.polls)
    if snapshot.polls and missing > 0:
        yield Event(snapshot.polls[0].at, "polls", f"{missing} earlier ones are not kept")
    for poll in snapshot.polls:
        yield Event(poll.at, "poll", f"{poll.late_seconds:.1f} s late: {poll.answer}")
    if calls := int(snapshot.record.number("calls")):
        last = f"the last of {calls} calls" if calls > 1 else "the call"
        yield Event(snapshot.record.number("called_at"), "called", f"{last} that had the job looked at sooner")


def _settled(record: Record) -> Iterator[Event]:
    for line in record.text("settled").splitlines():
        at, _, what = line.partition(" ")
        yield Event(float(at), "settled", what)
    yield from (Event(*found) for found in evidence(record))


def _end(snapshot: JobSnapshot) -> Iterator[Event]:
    record = snapshot.record
    if record.text("ended"):
        again = f"; fetching it failed {record.text('tries')} times" if record.text("tries") else ""
        yield Event(record.number("ended"), "made", f"the provider has the result{again}")
    if record.text("finished"):
        yield Event(record.number("finished"), record.text("state"), _outcome(record))
    if snapshot.callback_failed_at:
        tries = f"given up after {record.number('callback_tries'):.0f} tries: {record.text('callback_note')}"
        yield Event(snapshot.callback_failed_at, "callback", tries)
    elif record.text("callback_owed"):
        outcome = record.text("callback_note") or "not tried yet"
        what = f"owed since then: {outcome}".removesuffix(": delivered")
        yield Event(record.number("callback_owed"), "callback", what)


def _outcome(record: Record) -> str:
    if record.text("error"):
        return f"{record.failure.code}: {record.failure.message}"
    outputs = json.loads(record.text("result") or "{}").get("outputs", [])
    size = sum(each.get("size", 0) for each in outputs)
    count = f"{len(outputs)} object{'' if len(outputs) == 1 else 's'}"
    remark = f"; {record.remark}" if record.remark else ""
    return f"downloaded and stored {count} of {size} bytes: {', '.join(each['uri'] for each in outputs)}{remark}"


#: What a failure says of the charge for its purchase.
_CHARGED = {
    Charged.YES: "; the provider says that it charged for it",
    Charged.NO: "; the provider says that it did not charge for it",
}


def money(record: Record) -> str:
    """Whether the job was paid for, as far as the ledger knows."""
    charged = record.failure.charged if record.text("error") else None
    before = [move.account for move in record.moves if move.charged]
    on_the_way = f"; {' and '.join(before)} charged for it before, or may have" if before else ""
    return _bought(record) + (_CHARGED.get(charged, "") if charged else "") + on_the_way


def _bought(record: Record) -> str:
    accepted, *others = [*filter(None, [record.text("pid")]), *record.other_ids] or [""]
    repeats = int(record.number("again") + record.number("resubmitted"))
    if record.text("free"):
        return "its operation costs nothing"
    code = record.failure.code if record.text("error") else None
    unconfirmed = record.text("state") in ("submitting", "unconfirmed") or code is FailureCode.SUBMISSION_UNKNOWN
    left = record.text("state") == "canceled" and record.number("submits") > 0
    if others:
        times = "twice" if len(others) == 1 else f"{len(others) + 1} times"
        return f"bought {times}, as {' and '.join([accepted, *others])}"
    if accepted or record.text("submitted"):
        name = f"bought, as {accepted}" if accepted else "bought"
        return f"{name}; {repeats} more submits of it may have been bought too" if repeats else name
    if repeats:
        return f"may have been bought, up to {repeats + unconfirmed} times"
    return "may have been bought" if unconfirmed or left else "not bought"


def why(snapshot: JobSnapshot) -> list[str]:
    """The reasons for which the job is where it is, the weightiest first."""
    state = snapshot.record.text("state")
    if state == JobState.UNCONFIRMED:
        reason = "nobody knows whether its submit was accepted: it waits for an operator"
        return [reason, *filter(None, [stopping(snapshot.record)])]
    if snapshot.record.state.final and not snapshot.clock:
        return ["it is over"]
    if snapshot.record.settling:
        return _settling(snapshot)
    if budget := snapshot.record.text("over_budget"):
        words = snapshot.record.text("note") or "waits until that is raised, or begins anew"
        return [f"the {title(budget)} has no room for it, and it is out of line: it {words}"]
    reasons = {"queued": _in_line, "due": _at_the_provider, "lease": _in_hand}[snapshot.clock or "lease"](snapshot)
    reasons += filter(None, [stopping(snapshot.record)])
    silence = snapshot.now - snapshot.swept_at
    if snapshot.swept_at and silence > UNSWEPT_SECONDS:
        reasons.insert(0, f"no process has looked after its account for {silence:.0f} s: is a worker running?")
    return reasons


def _settling(snapshot: JobSnapshot) -> list[str]:
    *_, last = [("",), *evidence(snapshot.record)]
    return [f"its submit may have been accepted ({last[-1]})", settling_how(snapshot.record), *_blocked(snapshot)]


def _blocked(snapshot: JobSnapshot) -> Iterator[str]:
    """What keeps the submits of its account or its lane back."""
    account = snapshot.account_state
    if account.trouble:
        yield f"its account: {account.trouble}"
    if lane := account.lanes.get(snapshot.record.lane):
        yield f"its lane {snapshot.record.text('lane')}: {lane.trouble}"


def _in_line(snapshot: JobSnapshot) -> list[str]:
    account, found = snapshot.account_state, [*_blocked(snapshot)]
    if account.max_in_flight and snapshot.in_flight >= account.max_in_flight:
        found.append(f"all {account.max_in_flight} places of its account are taken")
    found += _of_its_tenant(snapshot)
    if snapshot.ahead and snapshot.tenant_line is None:
        found.append(f"{snapshot.ahead} others are before it in line")
    if account.submits_per_second and not account.trouble:
        found.append(f"its account makes at most {account.submits_per_second:g} submits a second")
    if snapshot.record.text("note"):
        found.append(f"last said: {snapshot.record.text('note')}")
    if found and snapshot.record.next_account:
        found.append(f"it goes on at {snapshot.record.next_account} if it can't be submitted here in time")
    return found or ["it is its turn: a worker lets it in within seconds"]


def _of_its_tenant(snapshot: JobSnapshot) -> Iterator[str]:
    """What keeps its tenant back, and how many jobs of it come first."""
    tenant, line = snapshot.record.text("tenant"), snapshot.tenant_line
    if line is None:
        return
    if line.caps.max_in_flight and line.in_flight >= line.caps.max_in_flight:
        yield f"its tenant {tenant} has all {line.caps.max_in_flight} places that it may take"
    if line.ahead:
        yield f"{line.ahead} others of its tenant {tenant} are before it in line"
    if line.others:
        yield f"{line.others} other tenants have jobs in line: they take turns with it"
    if line.caps.submits_per_second:
        yield f"its tenant {tenant} makes at most {line.caps.submits_per_second:g} submits a second"


def _at_the_provider(snapshot: JobSnapshot) -> list[str]:
    note, late = snapshot.record.text("note"), snapshot.now - snapshot.score
    found = [f"the provider is at work on it{f' and last said: {note}' if note else ''}"]
    if note.endswith(WITHOUT_ADAPTER):
        found = [note]
    if snapshot.record.progress:
        found.append(f"how far it is: {snapshot.record.progress}")
    if late > LATE_SECONDS:
        found.insert(0, f"its poll is {late:.0f} s late: is a poller running?")
    return found


def _in_hand(snapshot: JobSnapshot) -> list[str]:
    record, note = snapshot.record, snapshot.record.text("note")
    if record.text("token"):
        return [
            {"queued": "a worker is about to submit it", "submitting": "a worker awaits the provider's answer"}.get(
                record.text("state"), "a worker has it in hand"
            )
        ]
    what = {
        "queued": "a message asks a worker to submit it",
        "storing": "a message asks a worker to fetch its result",
    }
    found = [what.get(record.text("state"), "a message brings its caller the answer")]
    return [*found, f"last said: {note}"] if note and record.text("tries") else found


def next_look(snapshot: JobSnapshot) -> tuple[float, str]:
    """The time of what happens next of itself [seconds since the epoch, 0 for unknown], and what that is."""
    if snapshot.clock == "due":
        return snapshot.score, "poll"
    if snapshot.clock == "queued" and not snapshot.account_state.paused:
        account, lane = snapshot.account_state, snapshot.account_state.lanes.get(snapshot.record.lane)
        if account.open_seconds > 0:
            return snapshot.now + account.open_seconds, "its account may submit again"
        if lane and lane.open_seconds > 0:
            return snapshot.now + lane.open_seconds, "its lane may submit again"
    if snapshot.clock == "queued" or snapshot.record.text("over_budget"):
        return _end_of_wait(snapshot)
    if snapshot.record.settling and not snapshot.record.text("token"):
        return min(snapshot.score, settles_until(snapshot.record)), "bide tries to settle its submit"
    if snapshot.clock == "lease" and snapshot.record.text("token"):
        return snapshot.score, "the worker's lease ends unless it is renewed"
    if snapshot.clock == "lease":
        return snapshot.score, "its message is sent again if no worker took it"
    return (snapshot.callback_at, "callback") if snapshot.callback_at else (0.0, "")


def _end_of_wait(snapshot: JobSnapshot) -> tuple[float, str]:
    """When a job waits no longer for its account, or for a budget, as far as no event ends that before."""
    deadline = snapshot.record.number("deadline")
    if snapshot.record.text("over_budget") and snapshot.score < deadline:
        return snapshot.score, "it goes on at its next account if it still waits"
    return deadline, "it fails if it still waits (deadline)"
