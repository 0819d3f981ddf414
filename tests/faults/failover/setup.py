"""One leader, two replicas and three sentinels, each server behind a wire, and the processes of a bide on them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis

from tests.faults.failover.wire import LaggingWire
from tests.integration.guarded_redis import PASSWORD, Server
from tests.integration.processes import Process
from tests.integration.replicated_redis import MASTER, SAFE
from tests.integration.rig import Rig
from tests.integration.servers import free_port
from tests.integration.waiting import eventually

REPLICAS, SENTINELS = 2, 3

#: Stands for plain Celery where else `disk` or `replica` stands, and how many children each of its processes has.
PLAIN, PLAIN_CHILDREN = "celery", 6

#: After how long sentinels count a server as down, and how long they give a failover [milliseconds].
DOWN_MS, FAILOVER_MS = 1000, 5000


class Node:
    """One Redis of the set: its process, the wire by which all others reach it, and a client past the wire."""

    def __init__(self, folder: Path, name: str, wire: LaggingWire, port: int, lines: list[str]) -> None:
        self.name, self.wire = name, wire
        self.client = redis.Redis(port=port, password=PASSWORD, decode_responses=True)
        announced = ["replica-announce-ip 127.0.0.1", f"replica-announce-port {wire.port}"]
        self.server = Server(folder / name, [f"port {port}", *announced, *lines], self.client)

    @property
    def leads(self) -> bool:
        try:
            return bool(self.client.info("replication")["role"] == "master")
        except redis.RedisError:
            return False


class Replicated:
    """The set; it stands in for the one Redis of a rig."""

    alive = True

    def __init__(self, folder: Path, *, bounded: bool) -> None:
        self._folder, self._bounded = folder, bounded
        self._stack = ExitStack()
        self.nodes: list[Node] = []
        self.sentinels: list[Server] = []
        self._ports: list[int] = []

    @property
    def url(self) -> str:
        first, *others = self._ports
        named = [f"sentinel://:{PASSWORD}@127.0.0.1:{first}/0", *(f"sentinel://127.0.0.1:{port}/0" for port in others)]
        return ";".join(named)

    def start(self) -> None:
        """Start all of it; returns once the sentinels know one another and each replica is up to date."""
        bound = ["min-replicas-to-write 1", "min-replicas-max-lag 10"] if self._bounded else []
        for number in range(1 + REPLICAS):
            port = free_port()
            wire = self._stack.enter_context(LaggingWire(port))
            follows = [f"replicaof 127.0.0.1 {self.nodes[0].wire.port}"] if number else []
            node = Node(self._folder, f"redis-{number}", wire, port, [*SAFE, *bound, *follows])
            self._stack.callback(node.client.close)
            self._stack.enter_context(node.server)
            self.nodes.append(node)
        leader = self.nodes[0]
        eventually(lambda: leader.client.info("replication")["connected_slaves"] == REPLICAS, what="replicas follow")
        self._ports = [free_port() for _ in range(SENTINELS)]
        for number, port in enumerate(self._ports):
            self._start_sentinel(number, port, leader.wire.port)

    def kill(self) -> None:
        """End all of it."""
        self._stack.close()

    def leader(self) -> Node:
        """The server that leads; waits for one."""
        return eventually(self._leading, what="a server leads")

    def follow_again(self) -> None:
        """Wait until one server leads and all others follow it, and have copied what it has."""
        eventually(self._all_follow, what="all others follow the leader", within_seconds=60)

    def lag(self, seconds: float) -> None:
        """Have all that replicas get take so long from now on."""
        for node in self.nodes:
            node.wire.lag_seconds = seconds

    def _leading(self) -> Node | None:
        """The sentinels' word, as a client asks for it."""
        for port in self._ports:
            asked: Any = redis.Redis(port=port, decode_responses=True, socket_timeout=1)
            try:
                _, led = asked.sentinel_get_master_addr_by_name(MASTER)
            except redis.RedisError:
                continue
            finally:
                asked.close()
            return next((node for node in self.nodes if node.wire.port == int(led) and node.leads), None)
        return None

    def _all_follow(self) -> bool:
        found = self._leading()
        if found is None:
            return False
        known = found.client.info("replication")
        states = [known.get(f"slave{number}", {}).get("state") for number in range(REPLICAS)]
        return states == ["online"] * REPLICAS  # those that still copy are connected, too

    def _start_sentinel(self, number: int, port: int, leads: int) -> None:
        lines = [
            "bind 127.0.0.1",
            f"port {port}",
            f"sentinel monitor {MASTER} 127.0.0.1 {leads} 2",
            f"sentinel auth-pass {MASTER} {PASSWORD}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_MS}",
            f"sentinel failover-timeout {MASTER} {FAILOVER_MS}",
        ]
        client = redis.Redis(port=port, decode_responses=True)
        self._stack.callback(client.close)
        sentinel = Server(self._folder / f"sentinel-{number}", lines, client, sentinel=True)
        self._stack.enter_context(sentinel)
        self.sentinels.append(sentinel)
        if number == SENTINELS - 1:
            eventually(partial(_knows_all, client), what="the sentinels know all")


def _knows_all(client: Any) -> bool:
    known = client.sentinel_master(MASTER)
    return bool(known["num-slaves"] == REPLICAS and known["num-other-sentinels"] == SENTINELS - 1)


class ReplicatedRig(Rig):
    """A deployment whose broker, ledger and results are on the set.

    `safe`: BIDE_LEDGER__SAFE, or `PLAIN` for plain Celery in bide's place, with the settings that are recommended.
    """

    def __init__(self, folder: Path, *, safe: str, bounded: bool, in_flight: int) -> None:
        super().__init__(folder)
        self.replicated = Replicated(folder, bounded=bounded)
        self.redis = self.replicated  # type: ignore[assignment]  # starts, is killed, and has an address
        self._safe, self._in_flight = safe, in_flight

    def process(self, name: str, *, ready: str) -> Process:
        """A process of bide, or one of plain Celery that submits, polls and stores."""
        if self._safe != PLAIN:
            return super().process(name, ready=ready)
        options = f"-Q plain -n {name}-$$@%h -c {PLAIN_CHILDREN} --without-gossip --without-mingle --loglevel=INFO"
        command = ["bash", "-c", f"exec {sys.executable} -m celery -A tests.faults.chaos.naive worker {options}"]
        return Process(name, command, env=self.environment(), ready=ready, log=self._folder / f"{name}.log")

    def start_what_ended(self) -> None:
        """As a process manager does: plain Celery's workers end by some refusals of Redis."""
        for process in (self.worker, self.poller):
            if not process.alive:
                process.start()

    def environment(self) -> dict[str, str]:
        """The settings of the processes."""
        if self._safe == PLAIN:
            plain = {"PLAIN_SETTINGS": "recommended", "BIDE_RESULT_URL": self.redis.url}
            return {**super().environment(), **plain, "BIDE_SENTINEL_MASTER": MASTER}
        mine = {
            "BIDE_SENTINEL_MASTER": MASTER,
            "BIDE_LEDGER__SAFE": self._safe,
            "BIDE_PROVIDERS__PHOTOGPT__MAX_IN_FLIGHT": str(self._in_flight),
            "BIDE_TIMING__LEASE_SECONDS": "5",
        }
        return {**super().environment(), **mine}


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """The process stopped for as long as the block lasts."""
    server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)
