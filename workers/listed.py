"""The jobs on a provider's list, and which of them a submit in doubt has surely become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from bide.errors import BideError
from bide.ledger import Record
from bide.ledger.settling import LISTING
from bide.providers import find
from bide.providers.base import Asked, Listed
from workers.io.destination import confined
from workers.toolbox import Toolbox

#: How much longer than its time-outs a request may be under way [seconds].
SENDING_SLACK_SECONDS = 5.0

#: How far the clock of a provider may differ from ours [seconds].
CLOCK_SKEW_SECONDS = 60.0

#: Pages of a list that are looked through at most.
MOST_PAGES = 20


class IncompleteListError(BideError):
    """The list has more pages than are read, so that nobody knows what else fits."""


@dataclass(frozen=True)
class Match:
    """What a list says of one submit: the id of its job, '' where that is not sure; and why, for people."""

    provider_job_id: str
    reason: str


def sending_seconds_of(tools: Toolbox) -> float:
    """How long a submit may be under way from its intent on [seconds]."""
    timing = tools.settings.timing
    return timing.submit_timeout_seconds + tools.ledger.timing.lease_seconds + SENDING_SLACK_SECONDS


def asked_by(tools: Toolbox, record: Record) -> Asked:
    """What the submits of a job asked for, and when the provider may have taken them.

    That is since its last intent, or since it was opened where an earlier submit may have been accepted, too.
    """
    promised = record.text("contract") not in ("", LISTING)
    again = record.text("again") or record.text("resubmitted") or (promised and record.number("submits") > 1)
    begins = record.number("created" if again else "intended")
    ends = record.number("intended") + sending_seconds_of(tools)
    return Asked(
        record.text("op"),
        record.request.params,
        frozenset(record.request.inputs),
        _moment(begins - CLOCK_SKEW_SECONDS),
        _moment(ends + CLOCK_SKEW_SECONDS),
    )


def match_listed(tools: Toolbox, record: Record) -> Match:
    """The one job on the provider's list that the submits of a job have become, if that is sure.

    It is sure where one listed job fits, no other job of ours has it, and none in doubt or under way fits it, in any
    account of the provider: two accounts may share a key, and so a list. Raises the errors of a call, and
    `IncompleteListError`.
    """
    adapter, asked = find(record.account.provider), asked_by(tools, record)
    listed = {job.provider_job_id: job for job in read_list(tools, record, asked.begins, asked.ends)}
    fitting = [job for job in listed.values() if asked.in_time(job) and adapter.may_be(job, asked)]
    # In this order: a submit that was under way when the list was read is still so, or its purchase is known by then.
    rivals = _rivals(tools, record, fitting)
    held = tools.ledger.unconfirmed.indexed(record.account, [job.provider_job_id for job in fitting])
    free = [job for job in fitting if job.provider_job_id not in held]
    if not free:
        return Match("", f"none of the {len(listed)} jobs there fits that no other job of ours has")
    names = " and ".join(job.provider_job_id for job in free[:3])
    if len(free) > 1:
        return Match("", f"{len(free)} jobs there fit: {names}{' and others' if len(free) > 3 else ''}")
    if free[0].created_at is None:
        return Match("", f"the list does not say when {names} was made")
    if rival := rivals.get(names):
        return Match("", f"{names} fits job {rival} as well")
    made = f"made {free[0].created_at:%Y-%m-%d %H:%M:%S} UTC, and no other job of ours fits"
    return Match(names, f"found on the provider's list: {names} alone fits, {made}")


def _rivals(tools: Toolbox, record: Record, fitting: list[Listed]) -> dict[str, str]:
    """For each of some listed jobs another job of ours that it fits as well, and whose purchase is not known."""
    rivals: dict[str, str] = {}
    if not fitting:
        return rivals
    times = [job.created_at.timestamp() for job in fitting if job.created_at]
    wide_seconds = sending_seconds_of(tools) + CLOCK_SKEW_SECONDS
    begins, ends = min(times, default=0.0) - wide_seconds, max(times, default=float("inf")) + CLOCK_SKEW_SECONDS
    provider = record.account.provider
    nameless = find(provider).listed_nameless
    for other in tools.ledger.unconfirmed.open_purchases(provider, begins, ends, nameless=nameless):
        if other.job_id == record.job_id:
            continue
        also = (job for job in fitting if job.provider_job_id not in rivals and _fits(tools, other, job))
        rivals |= dict.fromkeys((job.provider_job_id for job in also), other.job_id)
        if len(rivals) == len(fitting):
            break
    return rivals


def _fits(tools: Toolbox, record: Record, listed: Listed) -> bool:
    """Whether a listed job may be another job's purchase; a request that can't be read rules nothing out."""
    try:
        asked = asked_by(tools, record)
    except ValidationError:
        return True
    return asked.in_time(listed) and find(record.account.provider).may_be(listed, asked)


def read_list(tools: Toolbox, record: Record, since: datetime, until: datetime) -> Iterator[Listed]:
    """The provider's jobs of a time, where the job was to be bought.

    Raises the errors of a call, and `IncompleteListError` where there are more than `MOST_PAGES` pages of them.
    """
    context = tools.accounts.get(record.account)
    adapter, account = context.adapter, context.credentials_at(record.text("base_url"))
    page = ""
    for _ in range(MOST_PAGES):
        call = confined(adapter.list_call(since, until, account, page=page), adapter, account)
        listing = adapter.list_outcome(tools.event_loop.run(tools.http.call(call, buys=False)), account)
        yield from (job for job in listing.jobs if job.created_at is None or since <= job.created_at <= until)
        page, times = listing.next_page, [job.created_at for job in listing.jobs if job.created_at]
        behind = times and times == sorted(times, reverse=True) and times[-1] < since
        if not page or behind:
            return
    raise IncompleteListError(f"the list has more than {MOST_PAGES} pages of that time")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
