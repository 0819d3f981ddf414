"""Counting at the end: every job in exactly one final state, at most one purchase each, nothing left behind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from bide.ledger import AccountName, Ledger
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from tests.contract.ledger_invariants import Snapshot, check_account, check_keys
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

#: More than any account of the tests may have in flight.
ANY_NUMBER = 1000


def ends(rig: Rig, job_ids: Iterable[str], *, within_seconds: float = 60.0) -> Counter[str]:
    """Wait until every caller has its answer; how often each came: "succeeded", or the code of a failure."""
    waiting = list(job_ids)

    def answers() -> list[str] | None:
        with rig.server() as server:
            found = [json.loads(server.get(f"celery-task-meta-{job_id}") or "{}") for job_id in waiting]
        ended = [_end(meta) for meta in found if meta.get("status") in ("SUCCESS", "FAILURE")]
        return ended if len(ended) == len(waiting) else None

    return Counter(eventually(answers, what="every caller has its answer", within_seconds=within_seconds))


def _end(meta: dict[str, Any]) -> str:
    if meta["status"] == "SUCCESS":
        return str(meta["result"]["state"])
    [message] = meta["result"]["exc_message"]
    return str(json.loads(message)["code"])


def check_nothing_left(rig: Rig, marked: str) -> None:
    """One purchase for each prompt at most, all clocks empty, and no key that would stay for ever."""
    bought = Counter(purchase["reference"] for purchase in rig.purchases(marked))
    assert set(bought.values()) <= {1}, bought
    still = ("queued", "lease", "due", "inflight")
    eventually(lambda: not any(rig.counts()[name] for name in still), what="all clocks are empty")
    with rig.server() as server:
        names = Ledger(server).accounts.names()
        whole = ledger_of(server)
        lasting = [key for key in server.scan_iter("bide:*", _type="string") if server.ttl(key) == -1]
    assert not lasting
    check_keys(whole, names)
    for name in names:
        check_account(whole, name, max_in_flight=ANY_NUMBER, late=())
    check_final(whole, names)


def check_results_expire(rig: Rig) -> None:
    """No caller's answer stays for ever."""
    with rig.server() as server:
        assert not [key for key in server.scan_iter("celery-task-meta-*") if server.ttl(key) == -1]


def check_final(whole: Snapshot, names: Iterable[AccountName]) -> None:
    """Every record rests in one final state, or on the operators' list."""
    jobs = [fields for name in names for key, fields in whole.hashes.items() if key.startswith(f"{prefix(name)}job:")]
    assert {fields["state"] for fields in jobs} <= {"succeeded", "failed", "canceled", "unconfirmed", "following"}


def ledger_of(server: Any) -> Snapshot:
    """The ledger's part of a Redis that also holds messages and results."""
    members: dict[str, set[str]] = {}
    for key in server.scan_iter("bide:{*", _type="zset"):
        members[key] = set(server.zrange(key, 0, -1))
    for key in (*server.scan_iter("bide:{*", _type="set"), ACCOUNTS_KEY):
        members[key] = set(server.smembers(key))
    hashes = {key: server.hgetall(key) for key in server.scan_iter("bide:*", _type="hash")}
    return Snapshot(members, hashes, {key for key in (*members, *hashes) if server.ttl(key) == -1})
