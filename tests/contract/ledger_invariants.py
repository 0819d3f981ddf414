"""What must hold of one account's keys after every move, whatever happened before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import redis

from bide.contract import FINAL_STATES
from bide.ledger import AccountName
from bide.ledger.ledger import ACCOUNTS_KEY, prefix

CLOCKS = ("queued", "lease", "due")
LISTS = (*CLOCKS, "unconfirmed", "inflight", "account")


@dataclass(frozen=True)
class Snapshot:
    """Everything Redis holds about one account."""

    jobs: dict[str, dict[str, str]]
    followers: dict[str, dict[str, str]]
    clocks: dict[str, set[str]]
    unconfirmed: set[str]
    inflight: set[str]

    def live(self, job_id: str) -> bool:
        """Whether anything is still to be done for one of the job's callers."""
        job = self.jobs[job_id]
        return job["state"] != "following" and (job.get("answered") != "1" or job_id in self.followers)

    def standing(self, job_id: str) -> list[str]:
        return [name for name in CLOCKS if job_id in self.clocks[name]]


def snapshot(server: redis.Redis, account: AccountName) -> Snapshot:
    """Read it all."""
    at = prefix(account)

    def hashes(kind: str) -> dict[str, dict[str, str]]:
        keys = server.keys(f"{at}{kind}:*")
        return {key.removeprefix(f"{at}{kind}:"): server.hgetall(key) for key in keys}

    return Snapshot(
        hashes("job"),
        hashes("followers"),
        {name: set(server.zrange(at + name, 0, -1)) for name in CLOCKS},
        set(server.zrange(at + "unconfirmed", 0, -1)),
        set(server.smembers(at + "inflight")),
    )


def check_account(server: redis.Redis, account: AccountName, *, max_in_flight: int, late: Iterable[str]) -> Snapshot:
    """All invariants of one account; `late`: the jobs that may exceed `max_in_flight`, since their answer came late."""
    seen = snapshot(server, account)
    for job_id, job in seen.jobs.items():
        _check_clock(seen, job_id, job)
    on_clocks = set().union(*seen.clocks.values(), seen.unconfirmed, seen.inflight, seen.followers)
    assert on_clocks <= seen.jobs.keys(), "a clock, a list or a follower without a record"
    assert seen.unconfirmed == {job_id for job_id, job in seen.jobs.items() if job["state"] == "unconfirmed"}
    assert seen.inflight == {job_id for job_id, job in seen.jobs.items() if _takes_a_place(seen, job_id, job)}
    assert len(seen.inflight - set(late)) <= max_in_flight
    _check_ends(server, account, seen)
    return seen


def _check_clock(seen: Snapshot, job_id: str, job: dict[str, str]) -> None:
    state, standing = job["state"], seen.standing(job_id)
    assert len(standing) == (1 if seen.live(job_id) else 0), f"{job_id} is {job} and stands on {standing}"
    if state == "running":
        assert standing == ["due"], f"{job_id} runs and stands on {standing}"
    elif standing == ["queued"]:
        assert (state, job["token"]) == ("queued", ""), f"{job_id} is in line as {job}"
    else:
        assert "due" not in standing, f"{job_id} is polled as {state}"


def _takes_a_place(seen: Snapshot, job_id: str, job: dict[str, str]) -> bool:
    return job["state"] in ("submitting", "running") or (job["state"] == "queued" and job_id in seen.clocks["lease"])


def _check_ends(server: redis.Redis, account: AccountName, seen: Snapshot) -> None:
    """Every key has a TTL, or belongs to a job that is live or on the operators' list."""
    at = prefix(account)
    for job_id, job in seen.jobs.items():
        keys = [f"{at}{kind}:{job_id}" for kind in ("job", "body", "followers")] + [
            job.get("idem") or f"{at}job:{job_id}"
        ]
        kept = seen.live(job_id) or job["state"] == "unconfirmed"
        if not kept:
            assert job["state"] in (*FINAL_STATES, "following")
            assert all(server.ttl(key) != -1 for key in keys), f"{job_id} is {job['state']} and is kept for ever"
    known = {f"{kind}:{job_id}" for job_id in seen.jobs for kind in ("job", "body", "followers")}
    stray = {key.removeprefix(at) for key in server.keys(f"{at}*")} - known - set(LISTS)
    assert not stray


def check_idempotency_keys(server: redis.Redis, accounts: Iterable[AccountName]) -> None:
    """No idempotency key without a TTL stands for a job that is not there, and there are no other keys than ours."""
    for key in server.keys("bide:idem:*"):
        kept = server.hgetall(key)
        assert server.ttl(key) > 0 or server.exists(f"{prefix(AccountName.parse(kept['account']))}job:{kept['job']}")
    ours = ("bide:idem:", *map(prefix, accounts))
    assert all(key == ACCOUNTS_KEY or key.startswith(ours) for key in server.keys("*"))
