"""Replicas of a Redis: what a failover to one of them loses, and whether each could lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis

from bide.settings.addresses import ServerUrl
from workers.doctor.findings import Finding, Level, ok, problem, warning
from workers.doctor.redis_settings import check_settings, configuration

#: Makes a client for an address; its errors are redis-py's.
Reach = Callable[[ServerUrl], redis.Redis]

#: A replica speaks once a second; one that is silent for longer than this lags [seconds].
LAG_SECONDS = 3

#: How much a replica may lack of what its leader has written; under load a second's writes are normal [bytes].
BEHIND_BYTES = 2**20

#: The longest that a leader without replicas may go on to take writes; Redis's own default is 10 [seconds].
MAX_LAG_SECONDS = 30

#: What a failover costs, by the gravest use of the server.
LOSSES = {
    "ledger": "jobs may be lost or bought twice",
    "result": "callers may never learn how their jobs ended",
    "broker": "first messages of callers without bide.Client may be lost",
}

#: What it costs a ledger that waits for replicas.
SAFE_LOSS = "what no replica had acknowledged is done again, and of that nothing was bought"

_BOUND = "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10, and the same in the file of every server"


@dataclass(frozen=True)
class Replica:
    """One replica, as its leader sees it."""

    host: str
    port: int
    state: str
    lag_seconds: int
    behind_bytes: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Replication:
    """A server as one of several: how the deployment reaches and uses it, and what INFO and CONFIG say of it."""

    name: str
    url: ServerUrl
    uses: Sequence[str]
    info: Mapping[str, Any]
    config: Mapping[str, str]
    #: Whether bide waits for replicas before it buys.
    safe: bool = False

    @property
    def leader(self) -> str:
        """The address of the server that this one copies; '' where it leads itself."""
        return f"{self.info['master_host']}:{self.info['master_port']}" if self.info.get("role") == "slave" else ""

    @property
    def replicas(self) -> list[Replica]:
        """Those that are connected, in the order of INFO."""
        written = int(self.info.get("master_repl_offset") or 0)
        listed = [one for key, one in self.info.items() if key.startswith("slave") and key[5:].isdecimal()]
        return [
            Replica(
                host=str(one["ip"]),
                port=int(one["port"]),
                state=str(one["state"]),
                lag_seconds=int(one["lag"]),
                behind_bytes=max(0, written - int(one["offset"])),
            )
            for one in listed
        ]

    @property
    def by_sentinel(self) -> bool:
        return self.url.scheme == "sentinel"

    @property
    def may_fail_over(self) -> bool:
        return self.by_sentinel or bool(self.leader or self.replicas)

    @property
    def loss(self) -> str:
        """What a failover may cost, by the gravest use."""
        if self.safe and "ledger" in self.uses:
            return SAFE_LOSS
        return next(words for use, words in LOSSES.items() if use in self.uses)


def check_replication(server: Replication, reach: Reach) -> Iterator[Finding]:
    """How many replicas there are, how far behind, what a failover loses, and how each would do as a leader."""
    if server.by_sentinel and not server.replicas:
        yield warning(
            f"replicas of {server.name}",
            "Sentinel is used, and no replica is connected: nothing can take over from this server",
            "start the replicas; their logs say why they do not connect (address, masterauth)",
        )
    yield from _check_bound(f"replicas of {server.name}", server)
    for replica in server.replicas:
        yield _lag(f"replica {replica.address} of {server.name}", server, replica)
        yield from _check_as_leader(server, replica, reach)


def _check_bound(check: str, server: Replication) -> Iterator[Finding]:
    """Whether a leader that is cut off from its replicas stops to take writes: they are lost when it comes back."""
    count, good = len(server.replicas), server.info.get("min_slaves_good_slaves")
    wanted, lag = (server.config.get(f"min-replicas-{name}") for name in ("to-write", "max-lag"))
    if good is not None and int(good) < int(wanted or 1):
        words = f"min-replicas-to-write is {wanted or 'set'}, and {good} keep up: every write is refused"
        yield problem(check, words, "start or mend the replicas; until then no job is taken, submitted or stored")
    elif not count:
        return
    elif good is not None and int(lag or 0) > MAX_LAG_SECONDS:
        words = f"{count} connected; min-replicas-max-lag is {lag}: a leader that is cut off takes writes for {lag} s"
        yield warning(check, f"{words}, which a failover loses, so that {server.loss}", _BOUND)
    elif good is not None:
        limit = f"after {lag} s" if lag else "in time, by min-replicas-to-write"
        yield ok(check, f"{count} connected; a leader that is cut off stops taking writes {limit}; {_loses(server)}")
    elif wanted is None:
        words = f"{count} connected; whether a leader stops when it is cut off can't be read (CONFIG is closed)"
        remedy = "ask the operator of the server for min-replicas-to-write 1 and min-replicas-max-lag 10"
        yield warning(check, f"{words}; {_loses(server)}", remedy)
    else:
        words = f"{count} connected; min-replicas-to-write is {wanted}, min-replicas-max-lag {lag}: "
        meaning = f"a leader that is cut off goes on taking writes, which a failover loses, so that {server.loss}"
        yield warning(check, words + meaning, _BOUND)


def _loses(server: Replication) -> str:
    return f"replication is asynchronous: a failover loses what the new leader has not got, so that {server.loss}"


def _lag(check: str, server: Replication, replica: Replica) -> Finding:
    words = f"{replica.lag_seconds} s silent, {replica.behind_bytes} bytes behind"
    remedy = "look at its log, its load and the network between the two; a failover to it loses what it lacks"
    if replica.state != "online":
        return warning(check, f"is still being copied to ({replica.state}): it can't lead yet", remedy)
    if replica.lag_seconds >= LAG_SECONDS or replica.behind_bytes >= BEHIND_BYTES:
        return warning(check, f"lags, {words}: after a failover to it {server.loss}", remedy)
    return ok(check, f"keeps up, {words}")


def _check_as_leader(server: Replication, replica: Replica, reach: Reach) -> Iterator[Finding]:
    """The settings that would hold after a failover to a replica; what is well is not listed again."""
    name = f"replica {replica.address} of {server.name}"
    try:
        with reach(_at(server.url, replica)) as client:
            info, config = client.info(), configuration(client)
    except (redis.RedisError, ValueError) as error:
        if server.by_sentinel:
            words = f"can't be asked from here ({type(error).__name__}): after a failover to it this process is cut off"
            yield warning(f"address of {name}", words, "let this host reach it, with the same password and user")
        return
    for found in check_settings(name, info, config, holds_money="ledger" in server.uses, replicated=True):
        if found.level is not Level.OK:
            yield found
    theirs, ours = (one.get("min-replicas-to-write") for one in (config, server.config))
    if theirs == "0" and ours not in (None, "0"):
        words = f"min-replicas-to-write is 0 there and {ours} on the leader: after a failover to it nothing is refused"
        yield warning(f"limit of {name}", words, _BOUND)


def _at(url: ServerUrl, replica: Replica) -> ServerUrl:
    """The address of a replica, with the user, the password and the TLS of the leader's."""
    first = urlsplit(url.partition(";")[0])
    user, at, _ = first.netloc.rpartition("@")
    host = f"[{replica.host}]" if ":" in replica.host else replica.host
    place = f"{user}{at}{host}:{replica.port}"
    return ServerUrl(f"rediss://{place}?{first.query}" if first.scheme == "rediss" else f"redis://{place}")
