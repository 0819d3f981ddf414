"""The receivers of callbacks: how many attempts a host may have under way, and when a callback without a place is due.

An attempt passes gates: its host's, its domain's, its share's and the process's. Half of all places are for hosts that
answered quickly the last time. Hosts that do not answer can't take these.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar
from urllib.parse import urlsplit

#: The attempts that one process has under way at once: in all, to hosts not known to answer, to those that timed out.
MOST_AT_ONCE, MOST_UNPROVEN, MOST_STUCK = 256, 128, 32

#: The same for one host: at first, and when it has answered time and again; one that timed out has a single place.
FIRST_PLACES, MOST_PLACES = 4, 32

#: The same for all hosts of one domain that are not known to answer: ports and sub-domains cost nothing.
MOST_OF_DOMAIN = 64

#: A receiver that takes longer is not quick, nor is one that timed out less than so long ago [seconds].
QUICK_SECONDS, DOUBTFUL_SECONDS = 2.0, 60.0

#: How soon a callback that found no place is looked at again, at least and at most [seconds].
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0

#: How long an attempt is thought to take before one has ended: little, since a wrong guess costs one look [seconds].
GUESSED_SECONDS = 0.02

#: How many hosts are remembered; one that is forgotten begins anew.
MOST_HOSTS = 4096


class Share(Enum):
    """Which places a host's attempts may take."""

    QUICK = "quick"
    UNPROVEN = "unproven"
    STUCK = "stuck"


@dataclass
class Gate:
    """Lets `most` attempts be under way at once; those it turns away come again one after the other."""

    most: int
    under_way: int = 0
    #: How long the last attempt took.
    seconds: float = GUESSED_SECONDS
    #: When the last one that was turned away comes again.
    turn_at: float = 0.0

    @property
    def full(self) -> bool:
        return self.under_way >= self.most

    def pause_seconds(self, now: float) -> float:
        """How long until a place should be free for another one that is turned away."""
        turn = max(self.turn_at, now) + self.seconds / self.most
        self.turn_at = min(max(turn, now + SHORTEST_PAUSE_SECONDS), now + LONGEST_PAUSE_SECONDS)
        return self.turn_at - now


class Host(Gate):
    """One receiver: each answer gives it a place more, a time-out takes all but one."""

    def __init__(self) -> None:
        super().__init__(FIRST_PLACES)
        self.share, self._doubtful_until = Share.UNPROVEN, 0.0

    def learn(self, seconds: float, *, answered: bool, quick_seconds: float, now: float) -> None:
        """Judge the host by an attempt that has ended."""
        if seconds > quick_seconds and not answered:
            self.share, self.most, self._doubtful_until = Share.STUCK, 1, now + DOUBTFUL_SECONDS
            return
        if self.share is Share.STUCK:
            self.turn_at = now
        quick = seconds <= quick_seconds and now >= self._doubtful_until
        self.share = Share.QUICK if quick else Share.UNPROVEN
        self.most = min(self.most + 1, MOST_PLACES)


G = TypeVar("G", bound=Gate)


@dataclass(frozen=True)
class Place:
    """A place that an attempt has taken, at every gate that it passed."""

    host: Host
    gates: tuple[Gate, ...]


class Receivers:
    """Hands out the places of one process; used from one thread."""

    def __init__(self, *, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._quick_seconds, self._clock = min(QUICK_SECONDS, timeout_seconds / 2), clock
        self._all, self._unproven, self._stuck = Gate(MOST_AT_ONCE), Gate(MOST_UNPROVEN), Gate(MOST_STUCK)
        self._hosts: OrderedDict[str, Host] = OrderedDict()
        self._domains: OrderedDict[str, Gate] = OrderedDict()

    @property
    def full(self) -> bool:
        """Whether no attempt at all can begin."""
        return self._all.full

    def pause_seconds(self, name: str) -> float | None:
        """Where no attempt at a host can begin: when to come again [seconds from now]; else None."""
        for gate in self._gates(name):
            if gate.full:
                return gate.pause_seconds(self._clock())
        return None

    def enter(self, name: str) -> Place:
        """Take a place for an attempt at a host that has one."""
        gates = self._gates(name)
        for gate in gates:
            gate.under_way += 1
        return Place(self._host(name), gates)

    def leave(self, place: Place, seconds: float, *, answered: bool) -> None:
        """The attempt has ended, after so long, with an answer or without."""
        for gate in place.gates:
            gate.under_way -= 1
            gate.seconds = seconds
        place.host.learn(seconds, answered=answered, quick_seconds=self._quick_seconds, now=self._clock())

    def _host(self, name: str) -> Host:
        return _of(self._hosts, name, Host)

    def _gates(self, name: str) -> tuple[Gate, ...]:
        """What an attempt at a host has to pass."""
        host = self._host(name)
        if host.share is Share.QUICK:
            return host, self._all
        domain = _of(self._domains, domain_of(name), lambda: Gate(MOST_OF_DOMAIN))
        doubtful = (self._stuck, self._unproven) if host.share is Share.STUCK else (self._unproven,)
        return host, domain, *doubtful, self._all


def host_of(url: str) -> str:
    """The host and port that a callback's address names; '' for what names none."""
    try:
        parsed = urlsplit(url)
        host, port = parsed.hostname or "", parsed.port or (443 if parsed.scheme == "https" else 80)
    except ValueError:
        return ""
    return f"{host.rstrip('.')}:{port}" if host else ""


def domain_of(host: str) -> str:
    """What the ports and sub-domains of one owner have in common: the last two labels of a name, or an IP address."""
    name, _, _ = host.rpartition(":")
    if ":" in name or name.replace(".", "").isdigit():
        return name
    return ".".join(name.split(".")[-2:])


def _of(known: OrderedDict[str, G], name: str, make: Callable[[], G]) -> G:
    """The gate of a name; the one idle for the longest is forgotten where there are too many."""
    found = known.get(name)
    if found is None:
        found = known[name] = make()
        idle = (each for each, gate in known.items() if not gate.under_way and gate is not found)
        if len(known) > MOST_HOSTS and (forgotten := next(idle, None)) is not None:
            del known[forgotten]
    known.move_to_end(name)
    return found
