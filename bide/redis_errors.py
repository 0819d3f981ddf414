"""What errors of Redis mean: which of them pass, and why a server that answers refuses to write."""

from __future__ import annotations

import re

import redis
from redis.sentinel import MasterNotFoundError

from bide.errors import LedgerAwayError

#: What Redis says or does while it restarts, and a new attempt soon after may well succeed.
AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)

#: Why a Redis that answers refuses to write, by the code in front of its error, and what to do about it.
REFUSALS = {
    "NOREPLICAS": "too few replicas follow it (min-replicas-to-write): bring replicas back, or lower that",
    "OOM": "its memory is full (maxmemory): raise that, or make room",
    "MISCONF": "it can't save to its disk: make room there, its log says more",
    "READONLY": "it is a replica: wait until it leads, or give the address of the one that does",
    "UNBLOCKED": "it has become a replica: wait until it leads, or give the address of the one that does",
    "LOADING": "it still reads its data from disk: wait",
    "BUSY": "a script holds it up: wait, or end that with SCRIPT KILL",
    "MASTERDOWN": "it is a replica without its leader: bring that back",
    "CLUSTERDOWN": "its cluster is down: bring that back",
}

#: The codes that redis-py takes off the error, by the class that it makes of them.
_CODES: dict[type[Exception], str] = {
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
}

#: A refusal for the state the server is in, at the start of its answer or where a script or a pipeline quotes it.
_REFUSED = re.compile(rf"(?:^|: )-?({'|'.join(REFUSALS)})\b")


class RefusedError(redis.ConnectionError):
    """Redis refuses for now. To redis-py and kombu it is a lost connection, after which both try again."""

    def __init__(self, code: str) -> None:
        super().__init__(f"Redis refuses writes: {code}, {REFUSALS[code]}")
        self.code = code


def refusal(error: BaseException) -> str:
    """The code in `REFUSALS` with which Redis refuses for now; '' for any other error."""
    if isinstance(error, RefusedError):
        return error.code
    by_class = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "")
    if by_class or not isinstance(error, redis.ResponseError):
        return by_class
    found = _REFUSED.search(str(error))
    return found[1] if found else ""


def is_away(error: BaseException) -> bool:
    """Whether Redis can't be reached, or is full or busy: it passes; everything else is a mistake of ours."""
    return isinstance(error, (LedgerAwayError, *AWAY)) or bool(refusal(error))


def why_away(error: BaseException) -> str:
    """What a Redis that is away does, as the rest of a sentence."""
    code = refusal(error)
    return f"refuses writes: {code}, {REFUSALS[code]}" if code else f"does not answer: {type(error).__name__}"


def words_of(error: Exception) -> str:
    """The whole message of Redis or its client, as the rest of a sentence; addresses have dots, too."""
    if isinstance(error, MasterNotFoundError):  # its own message shows each sentinel's client as Python has it
        name = re.search(r"for ('[^']*')", str(error))
        return f"none of its sentinels names a leader {name[1] if name else ''}".rstrip()
    return " ".join(str(error).split()).rstrip(".")


def away(error: redis.RedisError) -> LedgerAwayError:
    """What to raise for an error of a Redis that is away."""
    return LedgerAwayError(f"the ledger (Redis) {why_away(error)}")
