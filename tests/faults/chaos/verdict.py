"""Every job of a run counted, and what must be zero."""

from __future__ import annotations

import json
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bide.ledger import Ledger
from bide.percentiles import percentiles
from tests.contract.ledger_invariants import check_account, check_keys
from tests.faults.chaos.answers import Answers
from tests.faults.chaos.bill import Purchase, by_job, purchases_of
from tests.faults.chaos.budget_watch import BudgetWatch
from tests.faults.chaos.contenders import Bide, Contender
from tests.faults.chaos.jobs import Job
from tests.faults.chaos.money import OVER_BUDGET, Money, judge_money
from tests.faults.chaos.promises import Kept, kept, purchases_to_count
from tests.faults.chaos.recovery import Recovery
from tests.faults.chaos.submitter import Submitter
from tests.faults.chaos.truth import Truth
from tests.faults.counting import ANY_NUMBER, check_final, ledger_of

#: An answer is late that comes later than this after the submit; without faults it takes 5 to 10 [seconds].
LATE_SECONDS = 60.0

#: How soon another process must go on with what a killed one had in hand [seconds].
RECOVERY_SECONDS = 20.0

#: What the ambiguous submits of a run may cost at most; below that something else is wrong.
FAIR_SHARE = 0.85

#: Names among the recoveries: all with Redis there all the time, and those with Redis away meanwhile.
ALL, REDIS_AWAY = "all", "redis was away"

#: How a job may end in a run: no fault in it makes a provider fail a job for good.
FAIR_ENDS = {"succeeded", "submission_unknown"}


@dataclass
class Verdict:
    """The counts of one run; `broken` says in words what must not be."""

    jobs: int
    ends: dict[str, int]
    lost: int
    #: Of the lost: those whose message still lies somewhere, with a dead worker mostly, until the visibility timeout.
    held_back: int
    late: int
    bought_jobs: int
    bought_twice: int
    #: Purchases whose job's caller got no result: paid for nothing, unless an operator settles them.
    paid_for_nothing: int
    stored_wrong: int
    answer_seconds: list[float]
    recovery_seconds: dict[str, list[float]]
    not_recovered: int
    #: By idempotency contract.
    contracts: dict[str, Kept] = field(default_factory=dict)
    money: Money = field(default_factory=Money)
    broken: list[str] = field(default_factory=list)
    #: What took longer than it is to take; a busy machine may be the reason.
    slow: list[str] = field(default_factory=list)


def judge(
    contender: Contender,
    jobs: Sequence[Job],
    submitter: Submitter,
    answers: Answers,
    recovery: Recovery,
    watch: BudgetWatch | None = None,
) -> Verdict:
    """Count a run that has come to its end."""
    stage = contender.stage
    paid = purchases_of(stage)
    purchases = by_job(paid)
    once = purchases_to_count(jobs, purchases)
    ended = answers.by_name
    succeeded = [name for name, one in ended.items() if one.end == "succeeded"]
    unanswered = [job.name for job in jobs if job.name not in ended]
    wrongs = Truth(stage, purchases).wrongs(succeeded)
    waits = sorted(answers.seen_at[name] - submitter.submitted_at[name] for name in ended)
    verdict = Verdict(
        jobs=len(jobs),
        ends=dict(Counter(one.end for one in ended.values())),
        lost=len(unanswered),
        held_back=len(set(unanswered) & _held_back(contender)),
        late=sum(wait > LATE_SECONDS for wait in waits),
        bought_jobs=len(purchases),
        bought_twice=sum(len(each) > 1 for each in once.values()),
        paid_for_nothing=sum(map(len, purchases.values())) - len(succeeded),
        stored_wrong=len(wrongs),
        answer_seconds=spread(waits),
        recovery_seconds=_recoveries(recovery),
        not_recovered=len(recovery.waiting),
    )
    fair_ends = FAIR_ENDS | ({OVER_BUDGET} if watch else set())  # which jobs may: see `judge_money`
    verdict.broken = [*wrongs[:20], *_broken(verdict, unanswered, once, fair_ends)]
    if isinstance(contender, Bide):
        verdict.contracts, unkept = kept(stage, jobs, answers, purchases)
        verdict.broken += unkept[:20]
        verdict.money, wrong = judge_money(stage, jobs, ended, paid, purchases, watch)
        verdict.broken += wrong[:40]
        verdict.broken += [*_states(contender, unanswered), *_ledger_trouble(contender)]
    slowest = verdict.recovery_seconds.get(ALL, [0.0])[-1]
    if slowest > RECOVERY_SECONDS:
        verdict.slow = [f"after a kill with Redis there, a job stood still for {slowest} s"]
    return verdict


def spread(values: Iterable[float]) -> list[float]:
    """p50, p95 and the longest; nothing of nothing."""
    known = [*values]
    return [round(value, 1) for value in (*percentiles(known, 50, 95), max(known))] if known else []


def _recoveries(recovery: Recovery) -> dict[str, list[float]]:
    """By what was in hand, and apart from that where Redis was away meanwhile: how many, p50, p95, longest."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    for one in recovery.resumed:
        for kind in (REDIS_AWAY,) if one.redis_was_away else (one.what, ALL):
            by_kind[kind].append(one.seconds)
    return {what: [len(seconds), *spread(seconds)] for what, seconds in by_kind.items()}


def _broken(
    verdict: Verdict, unanswered: list[str], purchases: dict[str, list[Purchase]], fair_ends: set[str]
) -> list[str]:
    broken = [f"{name}: its caller has no answer" for name in unanswered[:20]]
    broken += [f"{name}: bought {len(each)} times" for name, each in purchases.items() if len(each) > 1][:20]
    broken += [f"{number} jobs ended as {end}" for end, number in verdict.ends.items() if end not in fair_ends]
    if verdict.ends.get("succeeded", 0) < FAIR_SHARE * (verdict.jobs - verdict.ends.get(OVER_BUDGET, 0)):
        broken.append(f"only {verdict.ends.get('succeeded', 0)} of {verdict.jobs} jobs succeeded")
    if verdict.not_recovered:
        broken.append(f"after a kill nobody went on with {verdict.not_recovered} jobs")
    return broken


def _held_back(contender: Contender) -> set[str]:
    """Jobs whose message waits in a queue, or was taken by a worker and never acknowledged."""
    with contender.stage.server() as server:
        entries: Any = server.hgetall("unacked")
        waiting: list[Any] = [message for queue in contender.queues for message in server.lrange(queue, 0, -1)]
    messages = [json.loads(entry)[0] for entry in entries.values()] + [json.loads(message) for message in waiting]
    return {str(message["headers"].get("id")) for message in messages}


def _states(contender: Contender, unanswered: list[str]) -> list[str]:
    """The states of the jobs whose callers have no answer, to find the reason by."""
    with contender.stage.server() as server:
        found = {name: Ledger(server).jobs.find(name) for name in unanswered[:5]}
    return [f"{name}: {dict(record.fields) if record else 'has no record'}" for name, record in found.items()]


def _ledger_trouble(contender: Contender) -> list[str]:
    """What is wrong with the keys: each has a TTL or a clock, and everything rests."""
    names = contender.stage.accounts
    with contender.stage.server() as server:
        whole = ledger_of(server)
        lasting = [key for key in server.scan_iter("bide:*", _type="string") if server.ttl(key) == -1]
    try:
        assert not lasting, f"without a TTL: {lasting}"
        check_keys(whole, names)
        check_final(whole, names)
        for name in names:
            check_account(whole, name, max_in_flight=ANY_NUMBER, late=())
    except AssertionError as error:
        return [f"the ledger: {str(error) or traceback.format_exc(limit=-1)}"]
    return []
