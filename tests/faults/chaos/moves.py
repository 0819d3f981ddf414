"""The jobs of a run with fallbacks: how many went on, at which account each was bought, and what its result says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.chaos.bill import Purchase, accounts_of
from tests.faults.chaos.contenders import CallerAnswer
from tests.faults.chaos.jobs import Job


@dataclass
class Moves:
    """The counts; `left_because` has the codes of all accounts that were left."""

    jobs: int = 0
    moved: int = 0
    succeeded_elsewhere: int = 0
    left_because: dict[str, int] = field(default_factory=dict)
    charged_twice: int = 0
    #: Results that name another account, or another id, than the bill.
    made_by_wrong: int = 0


def moves(
    jobs: Sequence[Job], answers: Mapping[str, CallerAnswer], bought: Mapping[str, Sequence[Purchase]]
) -> tuple[Moves, list[str]]:
    """The counts, and what must not be in words. No provider of a run takes a job after it has refused it."""
    found, codes, broken = Moves(), Counter[str](), []
    for job in jobs:
        charged_at, answer = accounts_of(bought.get(job.name, ())), answers.get(job.name)
        if len(charged_at) > 1:
            found.charged_twice += 1
            broken.append(f"{job.name}: charged by {' and '.join(sorted(map(str, charged_at)))}")
        if answer and answer.end == "succeeded" and not _is_billed(job, answer.result, bought.get(job.name, ())):
            found.made_by_wrong += 1
            broken.append(f"{job.name}: says that {_maker(job, answer.result)} made it, the bill has {charged_at}")
        left = answer.left if answer else []
        found.jobs += len(job.in_turn) > 1
        found.moved += bool(left)
        found.succeeded_elsewhere += bool(left) and answer is not None and answer.end == "succeeded"
        codes.update(each["code"] for each in left)
    found.left_because = dict(codes.most_common())
    return found, broken


def _maker(job: Job, result: Mapping[str, Any]) -> str:
    """The account that a result names: the first one, where it names none."""
    made_by = result.get("made_by") or {"provider": job.request["provider"], "account": job.request["account"]}
    return f"{made_by['provider']}/{made_by['account']}"


def _is_billed(job: Job, result: Mapping[str, Any], bought: Sequence[Purchase]) -> bool:
    maker, made_as = _maker(job, result), result["provider_job_id"]
    return any(str(each.account) == maker and each.id == made_as for each in bought)
