"""How safe a write of the ledger must be before bide acts on it: by how many replicas, and within which time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from bide.errors import NotReplicatedError
from bide.redis_errors import words_of

#: How long the key is kept whose write is waited for [seconds].
MARKER_SECONDS = 60


@dataclass(frozen=True)
class Safety:
    """How many replicas have to acknowledge a write, and how long they may take [seconds].

    0 replicas: the leader alone, as safe as its own disk.
    """

    replicas: int = 0
    seconds: float = 1.0


#: A write is as safe as the leader's own disk.
DISK = Safety()


#: What is known of the ledger as a whole; the workers announce there how safe a write has to be, since no client knows.
LEDGER_KEY = "bide:ledger"

#: How long that is kept after the last worker's word [seconds]: ten years, for every key of bide ends by itself.
KEPT_SECONDS = 10 * 365 * 24 * 3600

#: The fields of that key which say so.
ANNOUNCED = ("safe_replicas", "safe_seconds")

#: And the one that says where the workers' receipts lie, '' where they write none.
RECEIPTS = "receipts"


def announce(server: redis.Redis, safety: Safety, *, receipts: str | None = None) -> None:
    """Have clients wait for replicas as the workers do, and know the folder of the receipts (None: it stays)."""
    words: dict[Any, Any] = dict(zip(ANNOUNCED, (safety.replicas, safety.seconds), strict=True))
    if receipts is not None:
        words[RECEIPTS] = receipts
    with server.pipeline() as together:
        together.hset(LEDGER_KEY, mapping=words)
        together.expire(LEDGER_KEY, KEPT_SECONDS)
        together.execute()


def announced_receipts(server: redis.Redis) -> str:
    """Where the workers' receipts lie, by the bucket's keys; '' where they write none, or are of an earlier release."""
    found: Any = server.hget(LEDGER_KEY, RECEIPTS)
    return found or ""


def add_announced(pipeline: Any) -> None:
    """Add to a pipeline the read whose reply goes to `announced_safety`."""
    pipeline.hmget(LEDGER_KEY, ANNOUNCED)


def announced_safety(reply: Any, *, before: Safety = DISK) -> Safety:
    """The safety that the workers have announced; `before` where the server knows of none: a new leader may lack it."""
    if isinstance(reply, redis.RedisError) or None in reply:
        return before
    replicas, seconds = reply
    return Safety(int(replicas), float(seconds))


def marker_key(prefix: str) -> str:
    """The key whose write is waited for, since a script that finds its work done writes nothing."""
    return f"{prefix}replicated"


def add_wait(pipeline: Any, prefix: str, safety: Safety) -> None:
    """Add to a pipeline what waits for the replicas, on the connection of all that the pipeline writes before it.

    The reply of the last command goes to `check_acknowledged`.
    """
    pipeline.set(marker_key(prefix), "", ex=MARKER_SECONDS)
    pipeline.wait(safety.replicas, max(1, int(1000 * safety.seconds)))


def check_acknowledged(acknowledged: Any, safety: Safety, replies: Sequence[Any]) -> None:
    """Raise `NotReplicatedError` where too few replicas have acknowledged; `acknowledged` is the reply of WAIT."""
    if isinstance(acknowledged, redis.RedisError):
        why = f"WAIT is refused: {words_of(acknowledged)}"
    elif int(acknowledged) >= safety.replicas:
        return
    else:
        why = f"{acknowledged} of {safety.replicas} replicas acknowledged it within {safety.seconds:g} s"
    raise NotReplicatedError(f"the ledger (Redis) has written it, and a failover may lose it: {why}", replies=replies)
