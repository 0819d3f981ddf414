"""Strangers who hold connections: the endpoint for hooks and the metrics still answer, and write little about it."""

from __future__ import annotations

import resource
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.health_check import HEALTHY, health
from tests.integration.processes import Process, plain_environment
from tests.integration.servers import RedisServer, free_port, redis_server
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

#: How many connections are held: more than a process has files.
HELD = 1100

#: What a crowd may have written [bytes], and how long the health check may take, which asks for 5 s [seconds].
MOST_WRITTEN_BYTES, ANSWER_SECONDS = 5000, 4.0

#: What the holders send: nothing, half a header, and a body that never comes.
SENT = {
    "silent": b"",
    "half a header": b"POST /hooks/photogpt/default/job/proof HTTP/1.1\r\nHost: a\r\nX-",
    "no body": b"POST /hooks/photogpt/default/job/proof HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx",
}

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """One Redis for all processes."""
    with redis_server(appendonly=False) as server:
        yield server


@pytest.fixture(autouse=True, scope="module")
def enough_files() -> Iterator[None]:
    """The test itself may open all these connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2 * HELD:
        pytest.skip("too few files for the holders")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * HELD), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Served:
    """`python -m workers.hooks` or `workers.metrics` with few files."""

    def __init__(self, name: str, redis_url: str, folder: Path, *, files: int) -> None:
        self.name, self.port = name, free_port()
        self.environment = {
            **plain_environment(),
            "BIDE_BROKER_URL": redis_url,
            "BIDE_S3__BUCKET": "results",
            "BIDE_HOOKS__URL": "https://hooks.example.com",
            "BIDE_HOOKS__SECRET": "a-secret-of-the-deployment-with-hooks",
            f"BIDE_{name.upper()}__PORT": str(self.port),
        }
        command = ["bash", "-c", f"ulimit -n {files} && exec python -m workers.{name}"]
        log = folder / f"{name}.log"
        self.process = Process(name, command, env=self.environment, ready=rf"{name} at http", log=log)

    def healthy(self) -> bool:
        """Whether /healthz answers in time."""
        try:
            return bool(OPENER.open(f"http://127.0.0.1:{self.port}/healthz", timeout=ANSWER_SECONDS).status == 200)
        except OSError:
            return False

    @contextmanager
    def crowded(self, held: int, sent: bytes) -> Iterator[list[socket.socket]]:
        """So many connections are held, each of which has sent so much."""
        with ExitStack() as stack:
            connections = [stack.enter_context(socket.socket()) for _ in range(held)]
            for connection in connections:
                connection.settimeout(10)
                with suppress(OSError):  # a process in trouble refuses it, or closes it at once
                    connection.connect(("127.0.0.1", self.port))
                    connection.sendall(sent)
            yield connections


@pytest.fixture(params=["hooks", "metrics"])
def served(request: pytest.FixtureRequest, shared: RedisServer, tmp_path: Path) -> Iterator[Served]:
    """The process with the usual limit of 1,024 files."""
    served = Served(request.param, shared.url, tmp_path, files=1024)
    served.process.start()
    yield served
    served.process.kill()


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_health_is_answered_in_a_crowd(served: Served, sent: bytes) -> None:
    """With 1,100 connections held /healthz answers, again and again, and the log stays short."""
    before = served.process.written_bytes
    with served.crowded(HELD, sent):
        for _ in range(3):
            began = time.monotonic()
            assert served.healthy()
            assert time.monotonic() - began < ANSWER_SECONDS
        code, output = health(served.name, served.environment)
        assert code == HEALTHY, output
    assert served.process.written_bytes - before < MOST_WRITTEN_BYTES
    assert served.process.alive


@pytest.mark.parametrize("name", ["hooks", "metrics"])
def test_no_file_left_is_no_flood(name: str, shared: RedisServer, tmp_path: Path) -> None:
    """A process that runs out of files neither turns in circles nor fills a disk, and serves again afterwards."""
    served = Served(name, shared.url, tmp_path, files=40)
    served.process.start()
    try:
        with served.crowded(60, b""):
            before, cpu = served.process.written_bytes, cpu_seconds(served.process.pid)
            eventually(served.healthy, what="it answers among them")
            assert served.process.written_bytes - before < MOST_WRITTEN_BYTES
            assert cpu_seconds(served.process.pid) - cpu < 1
        eventually(served.healthy, what="it serves again")
    finally:
        served.process.kill()


def test_slow_senders_are_sent_away(served: Served) -> None:
    """A header that comes byte by byte keeps no connection: it is closed at its time."""
    with served.crowded(1, b"GET /healthz HTTP/1.1\r\nX-") as [connection]:
        assert eventually(lambda: closed(connection), what="it is closed", within_seconds=30)


def closed(connection: socket.socket) -> bool:
    """Send a byte; whether the other side has closed the connection."""
    connection.settimeout(0.2)
    try:
        connection.send(b"a")
        return connection.recv(1000) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def cpu_seconds(pid: int) -> float:
    """How much CPU a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
