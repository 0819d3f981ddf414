"""The receivers of callbacks: how many attempts a host may have under way, and when a callback without a place is due.

An attempt counts under several limits: its host's, its domain's, its share's and the process's. Half of all places are
for hosts that answered quickly several times in a row. Hosts that do not answer can't take these.

No history proves that the next attempt is quick too. So only some attempts at quick hosts have the whole time-out, and
the others end after `QUICK_SECONDS`. Attempts that take longer therefore never take all places.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address, ip_network
from typing import TypeVar

from bide import addresses

#: The attempts that one process has under way at once: in all, to hosts not known to answer, to those that timed out.
MOST_AT_ONCE, MOST_UNPROVEN, MOST_STUCK = 256, 128, 32

#: The attempts at quick hosts that have the whole time-out. With `MOST_UNPROVEN` they must stay below `MOST_AT_ONCE`.
MOST_PATIENT = 96

#: The attempts at one host: at first, and when it has answered time and again; one that timed out has a single place.
FIRST_PLACES, MOST_PLACES = 4, 32

#: The attempts at one domain, whose ports and sub-domains cost nothing: for hosts not known to answer, and for all.
MOST_OF_DOMAIN, MOST_OF_QUICK_DOMAIN = 64, 96

#: How many quick answers in a row make a host a quick one.
QUICK_ANSWERS = 3

#: A receiver that takes longer is not quick, nor is one that timed out less than so long ago [seconds].
QUICK_SECONDS, UNPROVEN_SECONDS = 2.0, 60.0

#: How soon a callback that found no place is looked at again, at least and at most [seconds].
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0

#: How long an attempt is thought to take before one has ended: little, since a wrong guess costs one look [seconds].
GUESSED_SECONDS = 0.02

#: Labels below which the registries of countries sell names, as in `co.uk` and `com.au`.
SHARED_LABELS = frozenset(["ac", "co", "com", "edu", "go", "gob", "gov", "gv", "mil", "ne", "net", "nom", "or", "org"])

#: How many hosts are remembered; one that is forgotten begins anew.
MOST_HOSTS = 4096


class Share(Enum):
    """Which places a host's attempts may take."""

    QUICK = "quick"
    UNPROVEN = "unproven"
    STUCK = "stuck"


@dataclass
class Limit:
    """Lets `most` attempts be under way at once; further ones are turned away, and come again one after the other."""

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


class Domain(Limit):
    """All hosts of one owner, and the part of its places that hosts not known to answer may take."""

    def __init__(self) -> None:
        super().__init__(MOST_OF_QUICK_DOMAIN)
        self.unproven = Limit(MOST_OF_DOMAIN)


class Host(Limit):
    """One receiver: each answer gives it a place more, a time-out takes all but one."""

    def __init__(self) -> None:
        super().__init__(FIRST_PLACES)
        self._share, self._quick_answers, self._unproven_until = Share.UNPROVEN, 0, 0.0
        #: Its attempts under way, oldest first.
        self.places: dict[Place, None] = {}

    def share(self, *, quick_seconds: float, now: float) -> Share:
        """The share for the host's next attempt: a quick host whose oldest attempt takes long is unproven meanwhile."""
        oldest = next(iter(self.places), None)
        takes_long = oldest is not None and now - oldest.began > quick_seconds
        return Share.UNPROVEN if takes_long and self._share is Share.QUICK else self._share

    def learn(self, seconds: float, *, answered: bool, quick_seconds: float, now: float) -> None:
        """Judge the host by an attempt that has ended."""
        if seconds > quick_seconds:
            self._quick_answers = 0
        elif answered:
            self._quick_answers += 1
        if seconds > quick_seconds and not answered:
            self._share, self.most, self._unproven_until = Share.STUCK, 1, now + UNPROVEN_SECONDS
            return
        if self._share is Share.STUCK:
            self.turn_at = now
        quick = self._quick_answers >= QUICK_ANSWERS and now >= self._unproven_until
        self._share = Share.QUICK if quick else Share.UNPROVEN
        self.most = min(self.most + 1, MOST_PLACES)


G = TypeVar("G", bound=Limit)


@dataclass(frozen=True, eq=False)
class Place:
    """A place that an attempt has taken, under each of its limits."""

    host: Host
    limits: tuple[Limit, ...]
    began: float
    #: The longest that the attempt may take.
    total_seconds: float


class Receivers:
    """Hands out the places of one process; used from one thread."""

    def __init__(self, *, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_seconds, self._clock = timeout_seconds, clock
        self._quick_seconds = min(QUICK_SECONDS, timeout_seconds / 2)
        self._all, self._patient = Limit(MOST_AT_ONCE), Limit(MOST_PATIENT)
        self._unproven, self._stuck = Limit(MOST_UNPROVEN), Limit(MOST_STUCK)
        self._hosts: OrderedDict[str, Host] = OrderedDict()
        self._domains: OrderedDict[str, Domain] = OrderedDict()

    @property
    def full(self) -> bool:
        """Whether no attempt at all can begin."""
        return self._all.full

    def pause_seconds(self, name: str) -> float | None:
        """Where no attempt at a host can begin: when to come again [seconds from now]; else None."""
        for limit in self._limits(name):
            if limit.full:
                return limit.pause_seconds(self._clock())
        return None

    def enter(self, name: str) -> Place:
        """Take a place for an attempt at a host that has one."""
        host, limits, total_seconds = self._host(name), self._limits(name), self._timeout_seconds
        if self._share(host) is Share.QUICK:
            if self._patient.full:
                total_seconds = self._quick_seconds
            else:
                limits = (*limits, self._patient)
        for limit in limits:
            limit.under_way += 1
        place = Place(host, limits, self._clock(), total_seconds)
        host.places[place] = None
        return place

    def leave(self, place: Place, seconds: float, *, answered: bool) -> None:
        """The attempt has ended, after so long, with an answer or without."""
        for limit in place.limits:
            limit.under_way -= 1
            limit.seconds = seconds
        del place.host.places[place]
        place.host.learn(seconds, answered=answered, quick_seconds=self._quick_seconds, now=self._clock())

    def _host(self, name: str) -> Host:
        return _of(self._hosts, name, Host)

    def _limits(self, name: str) -> tuple[Limit, ...]:
        """The limits of an attempt at a host."""
        host, domain = self._host(name), _of(self._domains, domain_of(name), Domain)
        share = self._share(host)
        if share is Share.QUICK:
            return host, domain, self._all
        of_share = (self._stuck, self._unproven) if share is Share.STUCK else (self._unproven,)
        return host, domain.unproven, domain, *of_share, self._all

    def _share(self, host: Host) -> Share:
        return host.share(quick_seconds=self._quick_seconds, now=self._clock())


def host_of(url: str) -> str:
    """The host and port that a callback's address names, in the one spelling that is dialled; '' for none."""
    try:
        parsed = addresses.web_address(url)
    except ValueError:
        return ""
    host = addresses.host_of(parsed)
    if _is_ip(host):
        host = str(ip_address(host))
    return f"{host}:{parsed.port or addresses.DEFAULT_PORTS[parsed.scheme]}"


def domain_of(host: str) -> str:
    """What the ports and sub-domains of one owner have in common: two labels of a name, three below `co.uk`.

    For a number it is the IPv4 address, or the /64 network of an IPv6 address. The rule knows no list of public
    suffixes. So all customers of a hoster (run.app, amazonaws.com) share one domain, as do names below `ltd.uk`.
    """
    name, _, _ = host.rpartition(":")
    if _is_ip(name):
        return str(ip_network((name, 64), strict=False).network_address) if ":" in name else name
    labels = name.split(".")
    shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SHARED_LABELS
    return ".".join(labels[-3:] if shared else labels[-2:])


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _of(known: OrderedDict[str, G], name: str, make: Callable[[], G]) -> G:
    """The limit of a name; of too many, the one that is idle for the longest is forgotten."""
    found = known.get(name)
    if found is None:
        found = known[name] = make()
        idle = (each for each, limit in known.items() if not limit.under_way and limit is not found)
        if len(known) > MOST_HOSTS and (forgotten := next(idle, None)) is not None:
            del known[forgotten]
    known.move_to_end(name)
    return found
