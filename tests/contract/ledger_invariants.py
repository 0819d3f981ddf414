"""The invariants of a ledger's keys: they hold after every script, whatever happened before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import redis

from bide.contract import FINAL_STATES
from bide.ledger import AccountName
from bide.ledger.keys import ACCOUNTS_KEY, BUDGETS_KEY, budget_key, prefix
from bide.ledger.packed import unpack
from bide.ledger.words import ids_in
from bide.money.budgets import ALL

CLOCKS = ("queued", "lease", "due")
LISTS = ("unconfirmed", "inflight", "told", "callbacks", "recent")
OF_TENANTS = ("tenants", "turns:0", "turns:1", "capped", "rates", "places", "named_tenants", "tenant_metrics")

#: Every key with its TTL, its type and its content.
READ_ALL = """
local all, read = {}, { string = { 'GET' }, hash = { 'HGETALL' }, set = { 'SMEMBERS' }, zset = { 'ZRANGE', 0, -1 } }
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local command, first, last = unpack(read[kind])
  local value = first and redis.call(command, key, first, last) or redis.call(command, key)
  all[#all + 1] = { key, redis.call('TTL', key), kind, value }
end
return all
"""


@dataclass(frozen=True)
class Snapshot:
    """All that is in Redis: members of sorted sets and sets, fields of hashes, keys that have no TTL."""

    members: dict[str, set[str]]
    hashes: dict[str, dict[str, str]]
    for_ever: set[str]


@dataclass(frozen=True)
class Account:
    """One account's part of a snapshot."""

    at: str
    whole: Snapshot

    def of(self, kind: str) -> dict[str, dict[str, str]]:
        """The hashes of one kind (job, body, followers), by job id."""
        at = f"{self.at}{kind}:"
        return {key.removeprefix(at): fields for key, fields in self.whole.hashes.items() if key.startswith(at)}

    def on(self, name: str) -> set[str]:
        return self.whole.members.get(self.at + name, set())

    def clocks(self, job_id: str) -> list[str]:
        return [name for name in CLOCKS if job_id in self.on(name)]

    def live(self, job_id: str) -> bool:
        """Whether anything is still to be done for one of the job's callers."""
        job = self.whole.hashes[f"{self.at}job:{job_id}"]
        callers_know = job.get("answered") == "1" and f"{self.at}followers:{job_id}" not in self.whole.hashes
        return job["state"] != "following" and not callers_know


def unpacked(key: str, fields: dict[str, str]) -> dict[str, str]:
    """A record with what is packed of it, and any other hash as it is."""
    account, is_job, job_id = key.removeprefix("bide:{").partition("}:job:")
    return unpack(job_id, AccountName.parse(account), fields) if is_job else fields


def snapshot(server: redis.Redis) -> Snapshot:
    """Read all keys at one moment."""
    members, hashes, for_ever = {}, {}, set()
    for key, ttl, kind, value in server.eval(READ_ALL, 0):
        if kind == "hash":
            hashes[key] = unpacked(key, dict(zip(value[::2], value[1::2], strict=True)))
        elif kind != "string":
            members[key] = set(value)
        if ttl == -1:
            for_ever.add(key)
    return Snapshot(members, hashes, for_ever)


def check_account(whole: Snapshot, name: AccountName, *, max_in_flight: int, late: Iterable[str]) -> None:
    """Check one account's invariants; `late`: jobs that may exceed `max_in_flight`, as their answer came late."""
    account = Account(prefix(name), whole)
    jobs = account.of("job")
    for job_id, job in jobs.items():
        _check_clock(account, job_id, job)
    everywhere = {job_id for name in (*CLOCKS, "unconfirmed", "inflight") for job_id in account.on(name)}
    assert everywhere | account.of("followers").keys() <= jobs.keys(), "a clock, list or follower without a record"
    assert account.on("unconfirmed") == {job_id for job_id, job in jobs.items() if job["state"] == "unconfirmed"}
    assert account.on("inflight") == {job_id for job_id, job in jobs.items() if _takes_a_place(account, job_id, job)}
    assert len(account.on("inflight") - set(late)) <= max_in_flight
    _check_tenants(account, jobs)
    assert account.on("recent") >= {job_id for job_id, job in jobs.items() if "leader" not in job}  # a caller is no job
    assert {each: job_id for job_id, job in jobs.items() for each in _purchases(job)} == _index(account, jobs)
    assert account.on("callbacks") >= {job_id for job_id, job in jobs.items() if _owes_a_callback(job)}


def _check_clock(account: Account, job_id: str, job: dict[str, str]) -> None:
    state, clocks = job["state"], account.clocks(job_id)
    assert len(clocks) == (1 if account.live(job_id) else 0), f"{job_id} is {job} and stands on {clocks}"
    assert job.get("token") or state != "submitting" or job.get("settling"), f"no worker submits {job_id}"
    assert state == "submitting" or "settling" not in job, f"{job_id} is {state}, and being settled"
    assert "cancel" not in job or state != "queued", f"{job_id} was canceled, and is in line to be bought"
    if state == "running":
        assert clocks == ["due"], f"{job_id} runs and stands on {clocks}"
    elif clocks == ["queued"]:
        assert (state, job["token"]) == ("queued", ""), f"{job_id} is in line as {job}"
    else:
        assert "due" not in clocks, f"{job_id} is polled as {state}"


def _check_tenants(account: Account, jobs: dict[str, dict[str, str]]) -> None:
    """Each tenant with jobs in line has a line and a turn, and its places are counted."""
    in_line = {
        job["tenant"] for job_id, job in jobs.items() if "tenant" in job and account.clocks(job_id) == ["queued"]
    }
    assert in_line <= account.on("tenants")
    assert ("0" in account.on("turns:0") & account.on("turns:1")) == bool(account.on("tenants"))
    places = Counter(jobs[job_id]["tenant"] for job_id in account.on("inflight") if "tenant" in jobs[job_id])
    counted = account.whole.hashes.get(f"{account.at}places", {})
    assert counted == {tenant: str(number) for tenant, number in places.items()}


def _takes_a_place(account: Account, job_id: str, job: dict[str, str]) -> bool:
    let_in = job["state"] == "queued" and job_id in account.on("lease") and "parked" not in job
    return job["state"] in ("submitting", "running") or let_in


def _purchases(job: dict[str, str]) -> list[str]:
    return [*filter(None, [job.get("pid")]), *ids_in(job.get("other_pid", ""))]


def _index(account: Account, jobs: Iterable[str]) -> dict[str, str]:
    """The job of each provider id that the index has, as far as it has a record: entries of rows outlive it."""
    held = {
        each: entry.rpartition(" ")[2] for entries in account.of("pids").values() for each, entry in entries.items()
    }
    return {each: job_id for each, job_id in held.items() if job_id in jobs}


def _owes_a_callback(job: dict[str, str]) -> bool:
    """Whether the job owes a callback: no sender delivers any here, so that each stays owed."""
    return "callback" in job and job["state"] in (*FINAL_STATES, "unconfirmed")


def _budget_in(key: str) -> str:
    """The name of the budget in a key, '' in any other."""
    return key.split(":")[2] if key.startswith("bide:budget:") else ""


def check_keys(whole: Snapshot, names: Iterable[AccountName]) -> None:
    """Each key without a TTL is a live job's, a listed job's, a budget's of all time, or one of the registries."""
    kept = {ACCOUNTS_KEY, BUDGETS_KEY} | {key for key in whole.for_ever if key == budget_key(_budget_in(key), ALL)}
    for name in names:
        account = Account(prefix(name), whole)
        kept |= {
            account.at + each
            for each in (*CLOCKS, *LISTS, *OF_TENANTS, "account", "durations", "lanes", "metrics", "settled_doubts")
        }
        for job_id, job in account.of("job").items():
            if account.live(job_id) or job["state"] == "unconfirmed":
                followed = "leader" in job  # has its TTL from the beginning
                assert followed or f"{account.at}job:{job_id}" in whole.for_ever, f"{job_id} will vanish"
                kept |= {f"{account.at}{kind}:{job_id}" for kind in ("job", "body", "followers")} | {
                    job.get("idem", "")
                }
            else:
                assert job["state"] in (*FINAL_STATES, "following"), f"{job_id} rests as {job}"
    assert whole.for_ever <= kept, sorted(whole.for_ever - kept)
