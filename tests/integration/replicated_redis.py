"""A Redis with replicas, watched by sentinels or not: each a process of its own, which a test can stop or kill."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import redis

from tests.integration.guarded_redis import PASSWORD, Server
from tests.integration.servers import free_port
from tests.integration.waiting import eventually

MASTER = "bide-master"

#: The configuration of each server: a password, the settings that the promise needs, and a copy without delay.
SAFE = (
    "bind 127.0.0.1",
    f"requirepass {PASSWORD}",
    f"masterauth {PASSWORD}",
    "repl-diskless-sync-delay 0",
    "appendonly yes",
    "appendfsync always",
    "maxmemory-policy noeviction",
)


@dataclass(frozen=True)
class Node:
    """One server of the set: its process, its port, and a client for tests."""

    process: Server
    port: int
    client: redis.Redis

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    @contextmanager
    def silent(self) -> Iterator[None]:
        """The process stopped, as a host that is cut off, for as long as the block lasts."""
        self.process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.signal(signal.SIGCONT)


@dataclass(frozen=True)
class Replicated:
    """The leader, its replicas, and the sentinels that watch them."""

    leader: Node
    replicas: list[Node] = field(default_factory=list)
    sentinels: list[Node] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address as a deployment has it: the sentinels' where there are some, else the leader's."""
        if not self.sentinels:
            return self.leader.url
        first, *others = (sentinel.port for sentinel in self.sentinels)
        named = [f"sentinel://:{PASSWORD}@127.0.0.1:{first}/0", *(f"sentinel://127.0.0.1:{port}/0" for port in others)]
        return ";".join(named)

    def environment(self) -> dict[str, str]:
        """The settings by which processes find it."""
        return {"BIDE_BROKER_URL": self.url, "BIDE_SENTINEL_MASTER": MASTER}


class ReplicatedServer:
    """A leader and its replicas in the place of the one Redis of a rig; they run until they are killed."""

    alive = True

    def __init__(self, folder: Path, *, replicas: int = 1) -> None:
        self._folder, self._replicas = folder, replicas
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        return self._running.url

    def start(self) -> None:
        """Start all of it; returns once each replica is up to date."""
        self._running = self._stack.enter_context(replicated_redis(self._folder, replicas=self._replicas))

    def kill(self) -> None:
        """End all of it."""
        self._stack.close()


@contextmanager
def replicated_redis(
    folder: Path, *, replicas: int = 1, sentinels: int = 0, quorum: int = 2, lines: tuple[str, ...] = ()
) -> Iterator[Replicated]:
    """Servers that all have `lines`; the sentinels know one another, and every replica is up to date."""
    with ExitStack() as stack:

        def node(name: str, *own: str) -> Node:
            port = free_port()
            client = redis.Redis(port=port, password=PASSWORD, decode_responses=True)
            config = [f"port {port}", *SAFE, *lines, *own]
            return Node(stack.enter_context(Server(folder / name, config, client)), port, client)

        def sentinel(number: int) -> Node:
            port = free_port()
            config = [
                "bind 127.0.0.1",
                f"port {port}",
                f"sentinel monitor {MASTER} 127.0.0.1 {leader.port} {quorum}",
                f"sentinel auth-pass {MASTER} {PASSWORD}",
                f"sentinel down-after-milliseconds {MASTER} 1000",
            ]
            client = redis.Redis(port=port, decode_responses=True)
            name = folder / f"sentinel-{number}"
            return Node(stack.enter_context(Server(name, config, client, sentinel=True)), port, client)

        leader = node("leader")
        copies = [node(f"replica-{number}", f"replicaof 127.0.0.1 {leader.port}") for number in range(replicas)]
        for copy in copies:
            eventually(partial(_is_copied, copy), what="the replica is up to date")
        eventually(lambda: len(_online(leader)) == replicas, what="the leader knows its replicas")
        watchers = [sentinel(number) for number in range(sentinels)]
        for watcher in watchers:
            eventually(partial(_sees_all, watcher, replicas, sentinels), what="a sentinel sees all")
        yield Replicated(leader, copies, watchers)


def _is_copied(copy: Node) -> bool:
    return bool(copy.client.info("replication")["master_link_status"] == "up")


def _online(leader: Node) -> list[str]:
    found = leader.client.info("replication")
    return [name for name, one in found.items() if name[5:].isdecimal() and one["state"] == "online"]


def _sees_all(watcher: Node, replicas: int, sentinels: int) -> bool:
    asked: Any = watcher.client  # redis-py has no types for what sentinels answer
    known = asked.sentinel_master(MASTER)
    return bool(known["num-slaves"] == replicas and known["num-other-sentinels"] == sentinels - 1)
