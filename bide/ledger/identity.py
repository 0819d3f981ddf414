"""Whether the ledger is the one that it was: it has an id from its first use on, which the object store keeps as well.

A ledger without its records would buy again what it has bought before. So a worker that finds another id than the known
one, or none, buys nothing until an operator confirms the ledger.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlsplit

import redis

from bide.ledger.safety import KEPT_SECONDS, LEDGER_KEY

#: What the objects begin with that name the ledger of an address, in the bucket of the results.
PREFIX = "bide-ledger/"

#: The most that such an object takes [bytes].
MAX_BYTES = 4096

#: The longest that a submit waits for the first look [seconds].
WAIT_SECONDS = 5.0

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


class Identity:
    """What a process knows of its ledger; shared by all threads."""

    def __init__(self) -> None:
        #: The id of the ledger on which this process buys; '' for any.
        self.expected = ""
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

    def note(self, known: str, refusal: str) -> None:
        """Note what a look has found."""
        self.expected, self.refusal = known, refusal
        self._looked.set()

    def wait(self) -> str:
        """Why nothing may be bought, '' where it may; waits a little for the first look."""
        self._looked.wait(WAIT_SECONDS)
        return self.refusal


class KnownLedger:
    """The id that the object store has for the ledger at an address; raises `StorageError`.

    Deployments may share a bucket: each address has an object of its own. A ledger at a new address counts as new.
    """

    def __init__(self, storage: Objects, url: str, *, sentinel_master: str) -> None:
        self._storage, self.key = storage, _object_key(url, sentinel_master)

    def read(self) -> str:
        """The id; '' where there is none yet."""
        if not self._storage.exists(self.key):
            return ""
        found = json.loads(self._storage.get(self._storage.uri(self.key), max_bytes=MAX_BYTES))
        return str(found["id"])

    def write(self, ledger_id: str) -> None:
        """Remember an id from now on."""
        document = {"id": ledger_id, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        self._storage.put(self.key, json.dumps(document).encode(), content_type="application/json")


def read_id(server: redis.Redis) -> str:
    """The id that the ledger has; '' where it has none."""
    return str(server.hget(LEDGER_KEY, "id") or "")


def give_id(server: redis.Redis) -> str:
    """The id of a ledger, which gets one where it has none."""
    with server.pipeline() as together:
        together.hsetnx(LEDGER_KEY, "id", str(uuid.uuid4()))
        together.expire(LEDGER_KEY, KEPT_SECONDS)
        together.execute()
    return read_id(server)


def mismatch(found: str, known: str) -> str:
    """Why nothing may be bought on a ledger whose id is `found` where `known` was expected; '' where they agree."""
    if found == known:
        return ""
    what = f"has the id {found} now" if found else "has lost its id, and with it its records"
    return f"the ledger (Redis) is not the one that it was: it {what}, and was {known}"


def _object_key(url: str, sentinel_master: str) -> str:
    """By the servers and the number of the database; neither user nor password tells one ledger from another."""
    parts = [urlsplit(part) for part in url.split(";")]
    places = sorted(part.netloc.rpartition("@")[2] + part.path * (part.scheme == "unix") for part in parts)
    first = parts[0]
    named = [*places, first.path.strip("/") or "0", sentinel_master if first.scheme == "sentinel" else ""]
    return f"{PREFIX}{hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]}.json"
