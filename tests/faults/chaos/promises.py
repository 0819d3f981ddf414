"""The jobs of each idempotency contract in a run, by their last accounts: ends, doubts, and lies that were seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bide.ledger import Ledger, Record
from bide.ledger.settling import evidence
from bide.ledger.unconfirmed import KEY_NEW, remarks
from tests.faults.chaos.answers import Answers
from tests.faults.chaos.bill import Purchase
from tests.faults.chaos.jobs import FREE, LIES, LISTING, PROMISED, Job
from tests.faults.chaos.stage import Stage


@dataclass
class Kept:
    """The counts of one contract."""

    jobs: int = 0
    succeeded: int = 0
    #: Jobs of which a submit may have been accepted; of them those that bide settled, and those that people must.
    doubts: int = 0
    settled: int = 0
    held: int = 0
    bought_twice_seen: int = 0
    bought_twice_unseen: int = 0


def purchases_to_count(jobs: Sequence[Job], purchases: Mapping[str, list[Purchase]]) -> dict[str, list[Purchase]]:
    """The purchases of the jobs that must be bought once: those of free operations and of liars are counted here."""
    other = {job.name for job in jobs if job.contract == FREE or job.contract in LIES}
    return {name: bought for name, bought in purchases.items() if name not in other}


def kept(
    stage: Stage, jobs: Sequence[Job], answers: Answers, purchases: Mapping[str, list[Purchase]]
) -> tuple[dict[str, Kept], list[str]]:
    """The counts by contract, and what must not be in words."""
    counts: dict[str, Kept] = defaultdict(Kept)
    broken: list[str] = []
    with stage.server() as server:
        ledger = Ledger(server)
        for job in jobs:
            record, answer = ledger.jobs.find(job.name), answers.by_name.get(job.name)
            if record is not None and answer is not None:
                contract = job.contract_at(record.account)
                bought = len(purchases.get(job.name, ()))
                broken += _count(counts[contract], job.name, contract, record, answer.end, bought)
    return dict(sorted(counts.items())), broken


def _count(count: Kept, name: str, contract: str, record: Record, end: str, bought: int) -> list[str]:
    doubted = end == "submission_unknown" or bool(evidence(record))
    seen = bool({KEY_NEW} & set(remarks(record))) or bool(record.other_ids) or end == "submission_unknown"
    count.jobs += 1
    count.succeeded += end == "succeeded"
    count.doubts += doubted
    count.settled += doubted and end == "succeeded"
    count.held += end == "submission_unknown"
    twice = bought > 1 and contract != FREE
    count.bought_twice_seen += twice and seen
    count.bought_twice_unseen += twice and not seen
    wrong = []
    if twice and not seen:
        wrong.append(f"{name} ({contract}): bought {bought} times, and nobody sees it")
    if end == "submission_unknown" and (contract in PROMISED or (contract == LISTING and bought)):
        wrong.append(f"{name} ({contract}): bought {bought} times, its doubt is left: {evidence(record)}")
    return wrong
