"""Places for callbacks: what a host gets, what it loses, and what is kept for those that answer."""

from __future__ import annotations

import pytest

from workers.services.receivers import (
    FIRST_PLACES,
    LONGEST_PAUSE_SECONDS,
    MOST_AT_ONCE,
    MOST_HOSTS,
    MOST_OF_DOMAIN,
    MOST_OF_QUICK_DOMAIN,
    MOST_PATIENT,
    MOST_PLACES,
    MOST_STUCK,
    MOST_UNPROVEN,
    QUICK_ANSWERS,
    QUICK_SECONDS,
    SHORTEST_PAUSE_SECONDS,
    UNPROVEN_SECONDS,
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

    def answer(self, *hosts: str, times: int = 1, seconds: float = 0.03) -> None:
        """Have each of the hosts answer."""
        for host in hosts:
            for _ in range(times):
                self.receivers.leave(self.receivers.enter(host), seconds, answered=True)

    def time_out(self, *hosts: str) -> None:
        """Have an attempt at each of the hosts time out."""
        for host in hosts:
            self.receivers.leave(self.receivers.enter(host), TIMEOUT_SECONDS, answered=False)


def hosts_named(name: str) -> list[str]:
    """A hundred hosts, each of its own domain."""
    return [f"{name}-{number}.com:443" for number in range(100)]


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


@pytest.mark.parametrize("host", ["{}.example.com:443", "127.0.0.1:{}", "2001:db8::{:x}:443"])
def test_quick_hosts_of_one_domain_share_places(world: World, host: str) -> None:
    """A good history on many ports or sub-domains takes no place of another domain's new or quick hosts."""
    hosts = [host.format(number) for number in range(1, 400)]
    world.answer(*hosts, times=100)
    world.answer("good.com:443", times=100)
    assert len(world.fill(*hosts)) == MOST_OF_QUICK_DOMAIN
    assert len(world.fill("good.com:443")) == MOST_PLACES
    assert len(world.fill("new.org:443")) == FIRST_PLACES


def test_one_quick_answer_is_no_history(world: World) -> None:
    """Hosts are quick after several answers in a row; a slow one among them starts the count anew."""
    hosts = hosts_named("host")
    for host in hosts:
        world.answer(host, times=QUICK_ANSWERS - 1)
        world.answer(host, seconds=6.0)
        world.answer(host, times=QUICK_ANSWERS - 1)
    places = world.fill(*hosts)
    assert len(places) == MOST_UNPROVEN
    for place in places:
        world.receivers.leave(place, 0.03, answered=True)
    world.answer(*hosts)
    assert len(world.fill(*hosts)) == MOST_AT_ONCE


def test_a_refusal_is_no_quick_answer(world: World) -> None:
    """Hosts that refuse connections gain no trust by it."""
    hosts = hosts_named("host")
    for host in hosts * QUICK_ANSWERS:
        world.receivers.leave(world.receivers.enter(host), 0.01, answered=False)
    assert len(world.fill(*hosts)) == MOST_UNPROVEN


def test_a_quick_host_that_takes_long_is_unproven_meanwhile(world: World) -> None:
    """Its oldest attempt under way judges its next ones, before any has ended."""
    hosts = hosts_named("host")
    world.answer(*hosts, times=QUICK_ANSWERS)
    oldest = [world.receivers.enter(host) for host in hosts]
    world.now += QUICK_SECONDS + 0.1
    assert len(world.fill(*hosts)) == MOST_UNPROVEN
    for place in oldest:
        world.receivers.leave(place, QUICK_SECONDS / 2, answered=True)
    assert not world.receivers.full
    assert world.receivers.pause_seconds(hosts[-1]) is None, "without the old attempt it is quick again"


def test_some_places_are_never_taken_for_long(world: World) -> None:
    """Hosts of any number of domains may turn slow at once: only some of their attempts have the whole time-out."""
    quick = hosts_named("quick")
    world.answer(*quick, times=100)
    new = hosts_named("new")
    places = world.fill(*new, *quick)
    assert world.receivers.full
    patient = [place for place in places if place.total_seconds > QUICK_SECONDS]
    assert len(patient) == MOST_UNPROVEN + MOST_PATIENT < MOST_AT_ONCE
    assert {place.total_seconds for place in patient} == {TIMEOUT_SECONDS}


def test_a_host_that_timed_out_is_not_trusted_soon(world: World) -> None:
    """One that answers some calls and lets others hang takes no places of those that always answer."""
    mixed = hosts_named("mixed")
    world.answer(*mixed, times=100)
    world.time_out(*mixed)
    world.answer(*mixed, times=100)
    places = world.fill(*mixed)
    assert len(places) == MOST_UNPROVEN

    world.now += UNPROVEN_SECONDS
    for place in places:
        world.receivers.leave(place, 0.03, answered=True)
    world.answer(*mixed)
    assert len(world.fill(*mixed)) == MOST_AT_ONCE


def test_a_slow_answer_is_an_answer(world: World) -> None:
    """A receiver that takes its time keeps its places, but not those that are for the quick."""
    slow = hosts_named("slow")
    world.answer(*slow, times=10, seconds=6.0)
    assert len(world.fill(slow[0])) == FIRST_PLACES + 10
    assert len(world.fill(*slow)) == MOST_UNPROVEN - FIRST_PLACES - 10


def test_the_process_has_an_end(world: World) -> None:
    """Not even hosts that answer get more than there is."""
    quick = hosts_named("quick")
    world.answer(*quick, times=100)
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
        ("http://[2001:db8::1]:9000/", "2001:db8::1:9000", "2001:db8::"),
        ("http://[2001:0db8:0:0:0:0:0:1]:9000/", "2001:db8::1:9000", "2001:db8::"),
        ("http://example\u3002com/", "example.com:80", "example.com"),
        ("http://b\u00fccher.example/", "xn--bcher-kva.example:80", "xn--bcher-kva.example"),
        ("http://XN--bcher-kva.example:0080/", "xn--bcher-kva.example:80", "xn--bcher-kva.example"),
        ("https://a.shop.co.uk/", "a.shop.co.uk:443", "shop.co.uk"),
        ("https://a.shop.com.au/", "a.shop.com.au:443", "shop.com.au"),
        ("https://a.abc.de/", "a.abc.de:443", "abc.de"),
        ("https://co.uk/", "co.uk:443", "co.uk"),
    ],
)
def test_host_and_domain(url: str, host: str, domain: str) -> None:
    """In whichever way an address writes it."""
    assert (host_of(url), domain_of(host)) == (host, domain)


@pytest.mark.parametrize("url", ["", "http://", "http://a:port/", "http://[::1/"])
def test_no_host(url: str) -> None:
    """What names no host is a host of its own, and fails when it is called."""
    assert host_of(url) == ""
