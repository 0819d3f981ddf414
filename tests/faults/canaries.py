"""Secrets that are planted, and the search for them: as they are, in every encoding, and in pieces."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from tests.contract.ledger_invariants import unpacked

#: A piece of a secret that is as telling as the whole [characters].
PIECE_CHARACTERS = 16


@dataclass(frozen=True)
class Canary:
    """One secret, and the places where it belongs: a regular expression over names of places, '' for nowhere."""

    name: str
    secret: str
    belongs: str = ""

    @property
    def needles(self) -> set[str]:
        """What to look for: each piece of the secret as it is, and what encodings make of the whole."""
        pieces = {self.secret[at : at + PIECE_CHARACTERS] for at in range(0, len(self.secret), PIECE_CHARACTERS // 2)}
        found = {piece for piece in pieces if len(piece) == PIECE_CHARACTERS} or {self.secret}
        for text in (self.secret, *list(found)):
            raw = text.encode()
            found |= {raw.hex(), quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]}
            found |= {json.dumps(json.dumps(text))[3:-3], repr(text)[1:-1], text[::-1]}
            found |= set(_base64s(raw))
        return found


def _base64s(raw: bytes) -> Iterator[str]:
    """What base64 makes of it, wherever in a longer text it begins; what depends on the neighbours is cut off."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * before + raw).decode().rstrip("=")
            inner = coded[(0, 2, 3)[before] : -1 if (before + len(raw)) % 3 else None]
            if len(inner) >= PIECE_CHARACTERS:
                yield inner


@dataclass(frozen=True)
class Place:
    """Somewhere that was looked at, and the text that stood there."""

    name: str
    text: str


def strays(canaries: Iterable[Canary], places: Iterable[Place]) -> list[str]:
    """Each canary that stands where it does not belong, with the place and some of what stands around it."""
    looked = list(places)
    found = []
    for canary in canaries:
        cage = re.compile("|".join(sorted(map(re.escape, canary.needles), key=len, reverse=True)))
        for place in looked:
            if (hit := cage.search(place.text)) and not (canary.belongs and re.search(canary.belongs, place.name)):
                around = place.text[max(0, hit.start() - 80) : hit.end() + 40]
                found.append(f"{canary.name} in {place.name}: ...{around}...")
    return found


def in_redis(server: Any) -> Iterator[Place]:
    """Every value of every type, one place for each field."""
    for key in server.scan_iter("*"):
        yield Place(f"redis key {key}", str(key))
        match server.type(key):
            case "string":
                yield Place(f"redis {key}", str(server.get(key)))
            case "list":
                yield from (Place(f"redis {key} [{at}]", text) for at, text in enumerate(server.lrange(key, 0, -1)))
            case "hash":
                fields = unpacked(key, server.hgetall(key))
                yield from (Place(f"redis {key} .{name}", text) for name, text in fields.items())
                yield Place(f"redis {key} names", " ".join(server.hkeys(key)))
            case "set":
                yield Place(f"redis {key}", " ".join(server.smembers(key)))
            case "zset":
                yield Place(f"redis {key}", " ".join(server.zrange(key, 0, -1)))
            case "stream":
                yield Place(f"redis {key}", str(server.xrange(key)))
            case "none":  # gone since it was listed
                continue
            case other:
                raise AssertionError(f"{key} is a {other}, which nobody looks into")


def in_processes() -> Iterator[Place]:
    """The command lines of all processes that can be seen: every user of the machine can."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        yield Place(f"arguments of {folder.name}", words)
