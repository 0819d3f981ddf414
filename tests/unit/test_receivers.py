"""Places for callbacks: what a host gets, what it loses, and what is kept for those that answer."""

from __future__ import annotations

import pytest

from workers.services.receivers import (
    DOUBTFUL_SECONDS,
    FIRST_PLACES,
    LONGEST_PAUSE_SECONDS,
    MOST_AT_ONCE,
    MOST_HOSTS,
    MOST_OF_DOMAIN,
    MOST_PLACES,
    MOST_STUCK,
    MOST_UNPROVEN,
    SHORTEST_PAUSE_SECONDS,
    Place,
    Receivers,
    domain_of,
    host_of,
)

TIMEOUT_SECONDS = 15.0


class World:
    """Receivers on a clock of the test's own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.receivers = Receivers(timeout_seconds=TIMEOUT_SECONDS, clock=lambda: self.now)

    def fill(self, *hosts: str) -> list[Place]:
        """Begin as many attempts as the hosts have places for."""
        places = []
        for host in hosts:
            while self.receivers.pause_seconds(host) is None:
                places.append(self.receivers.enter(host))
        return places

    def answer(self, host: str, *, times: int = 1, seconds: float = 0.03) -> None:
        """Have a host answer."""
        for _ in range(times):
            self.receivers.leave(self.receivers.enter(host), seconds, answered=True)

    def time_out(self, *hosts: str) -> None:
        """Have an attempt at each of the hosts time out."""
        for host in hosts:
            self.receivers.leave(self.receivers.enter(host), TIMEOUT_SECONDS, answered=False)


@pytest.fixture
def world() -> World:
    """A process that has called nobody yet."""
    return World()


def test_a_host_earns_places_and_loses_them(world: World) -> None:
    """Some at first, more with each answer, one after a time-out, more again once it answers."""
    assert len(world.fill("a.com:443")) == FIRST_PLACES
    world.answer("b.com:443", times=100)
    assert len(world.fill("b.com:443")) == MOST_PLACES
    world.time_out("c.com:443")
    assert len(world.fill("c.com:443")) == 1
    world.time_out("d.com:443")
    world.answer("d.com:443", times=2)
    assert len(world.fill("d.com:443")) == 3


def test_a_refused_connection_is_no_time_out(world: World) -> None:
    """A receiver that is down fails at once, and holds no place for long: it keeps its places."""
    world.receivers.leave(world.receivers.enter("a.com:443"), 0.01, answered=False)
    assert len(world.fill("a.com:443")) == FIRST_PLACES + 1


def test_half_of_the_places_are_for_hosts_that_answer(world: World) -> None:
    """However many hosts are new, or stuck: those that answered quickly have their places, and new ones some, too."""
    stuck = [f"{number}.stuck-{number}.com:443" for number in range(300)]
    new = [f"{number}.new-{number}.com:443" for number in range(300)]
    world.answer("good.com:443", times=100)
    world.time_out(*stuck)

    assert len(world.fill(*stuck)) == MOST_STUCK
    assert len(world.fill(*new)) == MOST_UNPROVEN - MOST_STUCK
    assert len(world.fill("good.com:443")) == MOST_PLACES
    assert not world.receivers.full


@pytest.mark.parametrize("host", ["{}.example.com:443", "127.0.0.1:{}", "example.com:{}", "[2001:db8::1]:{}"])
def test_names_that_cost_nothing_share_places(world: World, host: str) -> None:
    """Sub-domains and ports of one owner do not crowd out the new hosts of others."""
    assert len(world.fill(*(host.format(number) for number in range(1, 400)))) == MOST_OF_DOMAIN
    assert len(world.fill("new.org:443")) == FIRST_PLACES


def test_a_host_that_timed_out_is_not_trusted_soon(world: World) -> None:
    """One that answers some calls and lets others hang takes no places of those that always answer."""
    mixed = [f"mixed-{number}.com:443" for number in range(100)]
    for host in mixed:
        world.answer(host, times=100)
    world.time_out(*mixed)
    for host in mixed:
        world.answer(host, times=100)
    places = world.fill(*mixed)
    assert len(places) == MOST_UNPROVEN

    world.now += DOUBTFUL_SECONDS
    for place in places:
        world.receivers.leave(place, 0.03, answered=True)
    for host in mixed:
        world.answer(host)
    assert len(world.fill(*mixed)) == MOST_AT_ONCE


def test_a_slow_answer_is_an_answer(world: World) -> None:
    """A receiver that takes its time keeps its places, but not those that are for the quick."""
    slow = [f"slow-{number}.com:443" for number in range(100)]
    for host in slow:
        world.answer(host, times=10, seconds=6.0)
    assert len(world.fill(slow[0])) == FIRST_PLACES + 10
    assert len(world.fill(*slow)) == MOST_UNPROVEN - FIRST_PLACES - 10


def test_the_process_has_an_end(world: World) -> None:
    """Not even hosts that answer get more than there is."""
    quick = [f"quick-{number}.com:443" for number in range(100)]
    for host in quick:
        world.answer(host, times=100)
    assert len(world.fill(*quick)) == MOST_AT_ONCE
    assert world.receivers.full


def test_pauses_follow_each_other(world: World) -> None:
    """What finds no place comes again one after the other, soon at a quick host and at a slow one not too late."""
    world.answer("quick.com:443", times=100, seconds=0.32)
    world.fill("quick.com:443")
    pauses = [world.receivers.pause_seconds("quick.com:443") or 0.0 for _ in range(100)]
    assert pauses == sorted(pauses)
    assert SHORTEST_PAUSE_SECONDS <= pauses[0] < pauses[-1] == pytest.approx(1.0, abs=0.2)
    world.time_out("stuck.com:443")
    world.fill("stuck.com:443")
    assert world.receivers.pause_seconds("stuck.com:443") == pytest.approx(LONGEST_PAUSE_SECONDS)


def test_hosts_are_forgotten(world: World) -> None:
    """A million names fill no memory; a host with an attempt under way is kept."""
    world.fill("busy.com:443")
    for number in range(MOST_HOSTS + 100):
        assert world.receivers.pause_seconds(f"host-{number}.com:443") is None
    assert len(world.receivers._hosts) == len(world.receivers._domains) == MOST_HOSTS
    assert world.receivers.pause_seconds("busy.com:443") is not None


@pytest.mark.parametrize(
    ("url", "host", "domain"),
    [
        ("https://Hooks.Example.com./a?b", "hooks.example.com:443", "example.com"),
        ("http://example.com:8080", "example.com:8080", "example.com"),
        ("http://service/", "service:80", "service"),
        ("http://127.0.0.1:9000/", "127.0.0.1:9000", "127.0.0.1"),
        ("http://[2001:db8::1]:9000/", "2001:db8::1:9000", "2001:db8::1"),
    ],
)
def test_host_and_domain(url: str, host: str, domain: str) -> None:
    """In whichever way an address writes it."""
    assert (host_of(url), domain_of(host)) == (host, domain)


@pytest.mark.parametrize("url", ["", "http://", "http://a:port/", "http://[::1/"])
def test_no_host(url: str) -> None:
    """What names no host is a host of its own, and fails when it is called."""
    assert host_of(url) == ""
