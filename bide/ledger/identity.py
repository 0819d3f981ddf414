"""Whether the ledger is the one that it was: it has an id from its first use on, which the object store keeps as well.

A ledger without its records would buy again what it has bought before. So a worker that finds another id than the known
one, or none, buys nothing until an operator confirms the ledger. The same holds for a ledger that went back, as by an
old backup: each worker leaves the time of its looks in the ledger, and the object store keeps that as well.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import redis

from bide.errors import StorageError
from bide.ledger.safety import KEPT_SECONDS, LEDGER_KEY

#: What the objects begin with that name the ledger of an address, in the bucket of the results.
PREFIX = "bide-ledger/"

#: The most that such an object takes [bytes], and how many earlier ids of its ledger it names.
MAX_BYTES, MOST_EARLIER = 4096, 50

#: Metadata of a job's objects: the id of the ledger that had the job when they were written.
LEDGER = "bide-ledger"

#: The longest that a submit waits for the first look [seconds].
WAIT_SECONDS = 5.0

#: By how much the ledger may have gone back unnoticed [seconds]: a failover and a power cut lose less.
TOLERATED_SECONDS = 10.0

#: Between two looks whose time goes to the object store [seconds]; workers that lose the ledger put it there at once.
KEEP_SECONDS = 60.0

#: What an operator does about a ledger that is not the known one.
REMEDY = (
    "bring the lost records back (docs/operations.md, backup and restore); where they are gone for good, "
    "`bide recover` makes them again from receipts and results; settle at the providers what is in doubt, "
    "then `bide ledger confirm`"
)


class Objects(Protocol):
    """As much of `bide.storage.Storage` as is needed here."""

    def exists(self, key: str) -> bool: ...
    def uri(self, key: str) -> str: ...
    def get(self, uri: str, *, max_bytes: int) -> bytes: ...
    def put(self, key: str, content: bytes, *, content_type: str) -> object: ...


@dataclass(frozen=True)
class LedgerState:
    """What tells one state of a ledger from another; times are in seconds since the epoch, by Redis's clock."""

    #: '' where there is none yet.
    id: str = ""
    #: When a worker last looked at it; 0 for never.
    looked_at: float = 0.0
    #: The time of the look that it has lost, where a worker has noticed that; else 0.
    went_back_from: float = 0.0


@dataclass(frozen=True)
class Look:
    """What a look found."""

    state: LedgerState
    #: Whether no failover loses that this look was made, so that later looks may expect to find it.
    safe: bool
    #: Whether its time is to be kept in the object store.
    keeps: bool


class Identity:
    """What a process knows of its ledger; shared by all threads."""

    def __init__(self) -> None:
        #: The id of the ledger on which this process buys; '' for any.
        self.expected = ""
        #: The latest look at it that this process knows of [seconds since the epoch].
        self.seen_at = 0.0
        #: Why nothing may be bought; '' where it may.
        self.refusal = ""
        self._looked = threading.Event()
        self._looked.set()

    def expect_look(self) -> None:
        """Nothing is bought before the first look."""
        self.refusal = "it is not known yet whether the ledger is the one that it was"
        self._looked.clear()

    @property
    def looked(self) -> bool:
        """Whether there was a look."""
        return self._looked.is_set()

    @property
    def earliest(self) -> float:
        """When the ledger must have been looked at last, or later; else it went back [seconds since the epoch]."""
        return max(0.0, self.seen_at - TOLERATED_SECONDS)

    def note(self, known: str, seen_at: float, refusal: str) -> None:
        """Note what a look has found."""
        self.expected, self.seen_at, self.refusal = known, seen_at, refusal
        self._looked.set()

    def wait(self) -> str:
        """Why nothing may be bought, '' where it may; waits a little for the first look."""
        self._looked.wait(WAIT_SECONDS)
        return self.refusal


class UnreadableLedgerError(StorageError, ValueError):
    """The object that names a ledger is damaged: it is no sign of a new ledger."""


class KnownLedger:
    """What the object store knows of the ledger at an address; raises `StorageError`.

    Deployments may share a bucket: each address has an object of its own. A ledger at a new address counts as new.
    """

    def __init__(self, storage: Objects, url: str, *, sentinel_master: str) -> None:
        self._storage, self.key = storage, ledger_object_key(url, sentinel_master)

    @classmethod
    def at(cls, storage: Objects, key: str) -> Self:
        """By the key of its object instead of its address."""
        known = cls.__new__(cls)
        known._storage, known.key = storage, key
        return known

    def another(self, key: str) -> Self:
        """What the same store knows by another object."""
        return self.at(self._storage, key)

    def read(self) -> LedgerState:
        """Its id, and the latest look that was kept; those of no ledger where there are none yet."""
        found = self._document()
        return LedgerState(found.get("id", ""), float(found.get("looked_at", 0)))

    def ids(self) -> tuple[str, ...]:
        """The ids that this deployment's ledger has and had, the present one first; none where none is known."""
        return ids_in(self._document())

    def write(self, state: LedgerState, *, earlier: Iterable[str] = ()) -> None:
        """Remember a ledger from now on; what it was before is kept, and so are `earlier` ids that were its own."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        before = [each for each in dict.fromkeys((*self.ids(), *earlier)) if each != state.id]
        named = {"earlier": before[:MOST_EARLIER]} if before else {}
        self._put({"id": state.id, "since": since, "looked_at": state.looked_at, **named})

    def keep_look(self, ledger_id: str, looked_at: float) -> None:
        """Remember a look; not where another ledger or a later look is known."""
        found = self._document()
        if found.get("id") == ledger_id and found.get("looked_at", 0) < looked_at:
            self._put({**found, "looked_at": looked_at})

    def _document(self) -> dict[str, Any]:
        if not self._storage.exists(self.key):
            return {}
        try:
            found = json.loads(self._storage.get(self._storage.uri(self.key), max_bytes=MAX_BYTES))
        except ValueError:
            found = None
        if not (isinstance(found, dict) and _names_ledger(found)):
            raise UnreadableLedgerError(
                f"{self._storage.uri(self.key)} is damaged, by which the ledger is known: bring an old version of the "
                "object back, or one from a backup; where the ledger (Redis) is surely the one that it was, remove the "
                "object, and the next worker that starts writes it anew",
                permanent=True,
            )
        return found

    def _put(self, document: dict[str, Any]) -> None:
        self._storage.put(self.key, json.dumps(document).encode(), content_type="application/json")


def _names_ledger(document: Mapping[str, Any]) -> bool:
    """Whether such an object has its fields in their form."""
    ledger_id, looked_at = document.get("id"), document.get("looked_at", 0)
    return isinstance(ledger_id, str) and type(looked_at) in (int, float)


def ids_in(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids in the object of a known ledger, the present one first."""
    earlier = document.get("earlier")
    named = (document.get("id"), *(earlier if isinstance(earlier, list) else ()))
    return tuple(each for each in named if isinstance(each, str) and each)


def read_state(server: redis.Redis) -> LedgerState:
    """The state of the ledger."""
    found: Any = server.hmget(LEDGER_KEY, "id", "looked_at", "went_back_from")
    return LedgerState(found[0] or "", float(found[1] or 0), float(found[2] or 0))


def give_id(server: redis.Redis) -> str:
    """The id of a ledger, which gets one where it has none."""
    with server.pipeline() as together:
        together.hsetnx(LEDGER_KEY, "id", str(uuid.uuid4()))
        together.expire(LEDGER_KEY, KEPT_SECONDS)
        together.execute()
    return read_state(server).id


def accept(server: redis.Redis, known: LedgerState) -> LedgerState:
    """The ledger as it counts from now on, under an id that no ledger had before.

    So no worker takes it for `known`, and its attempts are not those of another life of it: an old backup counts its
    submits from where it was. A ledger keeps its id where none is known: workers may know it by another address.
    """
    if known.id:
        with server.pipeline() as together:
            together.hset(LEDGER_KEY, "id", str(uuid.uuid4()))
            together.hdel(LEDGER_KEY, "went_back_from")
            together.execute()
    give_id(server)
    return read_state(server)


def mismatch(found: LedgerState, known: LedgerState) -> str:
    """Why nothing may be bought on a ledger that is `found` where `known` was expected; '' where they agree."""
    lost_at = found.went_back_from or (known.looked_at if found.looked_at < known.looked_at - TOLERATED_SECONDS else 0)
    if found.id == known.id and not lost_at:
        return ""
    if found.id == known.id:
        what = f"went back to what it was at {_stamp(found.looked_at)}, and had come to {_stamp(lost_at)}"
    else:
        has = f"has the id {found.id} now" if found.id else "has lost its id, and with it its records"
        what = f"{has}, and was {known.id}"
    return f"the ledger (Redis) is not the one that it was: it {what}"


def _stamp(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def deployment_of(url: str, *, sentinel_master: str) -> str:
    """What tells the deployments apart that share a bucket: a digest of the ledger's address, the same after a loss."""
    return ledger_object_key(url, sentinel_master).removeprefix(PREFIX)[:16]


def ledger_object_key(url: str, sentinel_master: str) -> str:
    """By the servers and the number of the database; neither user nor password tells one ledger from another."""
    parts = [urlsplit(part) for part in url.split(";")]
    places = sorted(part.netloc.rpartition("@")[2] + part.path * (part.scheme == "unix") for part in parts)
    first = parts[0]
    named = [*places, first.path.strip("/") or "0", sentinel_master if first.scheme == "sentinel" else ""]
    return f"{PREFIX}{hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]}.json"
