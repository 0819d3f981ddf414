"""A RabbitMQ for tests: Debian's own, as a node of its own on ports and in a folder that nobody else uses."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.servers import free_port
from tests.integration.waiting import PATIENCE_SECONDS, eventually

#: Debian's wrapper in /usr/sbin would become another user; this is what it calls.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def rabbitmq_missing() -> str:
    """Why no RabbitMQ can be started here; '' where one can."""
    return "" if SERVER.exists() and shutil.which("epmd") else "rabbitmq-server (Debian) is not installed"


@contextmanager
def rabbitmq(folder: Path) -> Iterator[RabbitServer]:
    """A running RabbitMQ for as long as the block lasts; its address is `url`."""
    folder.mkdir()
    with RabbitServer(folder) as server:
        yield server


class RabbitServer:
    """A node and the port mapper that it asks for; both are ended with the block."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port, self._mapper_port = folder, free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def __enter__(self) -> Self:
        try:
            self._run("epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1")
            eventually(lambda: _listening(self._mapper_port), what="epmd listens")
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def restart(self) -> None:
        """SIGKILL, then the same node again."""
        node = self._processes.pop()
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()  # of its script; the node itself may take a moment more, and a new one must not meet it
        eventually(lambda: not _listening(self._port), what="the killed RabbitMQ is gone")
        self._start()

    def _start(self) -> None:
        self._run(str(SERVER))
        eventually(self._serves, what="RabbitMQ listens", within_seconds=2 * PATIENCE_SECONDS)

    def _end(self) -> None:
        for process in reversed(self._processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def _run(self, *command: str) -> None:
        with (self._folder / "output").open("ab") as output:
            self._processes.append(
                subprocess.Popen(command, env=self._environment(), stdout=output, stderr=output, start_new_session=True)
            )

    def _serves(self) -> bool:
        if self._processes[-1].poll() is not None:
            raise RuntimeError((self._folder / "output").read_text())
        return _listening(self._port)

    def _environment(self) -> dict[str, str]:
        plugins = self._folder / "plugins"
        plugins.write_text("[].")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),  # its cookie lies there
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"bide-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self._folder),
            "RABBITMQ_LOG_BASE": str(self._folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "none"),
            # On one address, and without burning CPU while there is nothing to do.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
            "+sbwt none +sbwtdcpu none +sbwtdio none",
        }


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
