"""docker-compose.yml as it is shipped, brought up on a machine of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.containers.machine import Machine
from tests.integration.waiting import eventually
from tests.unit.compose import ROOT, TEXT

#: What is laid out as a checkout: all that an image is built from, and what Compose and its scripts read.
FILES = ("docker-compose.yml", "Dockerfile", ".dockerignore", ".env.example", "deploy")

#: What is started beside the sandbox.
RUNNING = ("valkey", "seaweedfs", "worker", "poller", "beat", "flower", "metrics", "pages", "sandbox")

#: How long it may take until all are healthy [seconds].
GREEN_SECONDS = 120.0


class Stack:
    """One project of Compose, in a folder laid out as a checkout."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.folder = machine.folder / "bide"
        #: What was measured, by what it is [seconds].
        self.took: dict[str, float] = {}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long the block takes."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.took[what] = time.monotonic() - begun

    def lay_out(self) -> None:
        """Copy the files and follow the head of docker-compose.yml: `.env`, the sandbox's place in it, the secrets."""
        self.folder.mkdir()
        let_in = re.findall(r"(?m)^!([\w.-]+)$", (ROOT / ".dockerignore").read_text())
        for name in {*FILES, *let_in}:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, self.folder / name)
        [replace] = re.findall(r"(?m)^#   (sed -i .*)$", TEXT.partition("\nservices:")[0])
        for step in ("cp .env.example .env", "deploy/make-secrets", replace):
            subprocess.run(["bash", "-euc", step], cwd=self.folder, check=True, capture_output=True, timeout=30)

    def build(self) -> None:
        """Build both images, one after the other, by the network of this host."""
        options = ["--podman-build-args=--network=host"]
        with self.timed("build"):
            for service in ("worker", "sandbox"):
                words = ("--profile", "sandbox", "build", service)
                self.compose(*words, options=options, outside=True, seconds=900)

    def up(self) -> None:
        """Start all, and wait until every health check is green."""
        with self.timed("all green"):
            self.compose("--profile", "sandbox", "up", "--detach")
            self.wait_until_green()

    def wait_until_green(self, services: Iterable[str] = RUNNING) -> None:
        """Podman has nobody here to run its health checks by the clock: they are run from here."""
        for service in services:
            what = f"{service} is healthy"
            eventually(partial(self.healthy, service), what=what, within_seconds=GREEN_SECONDS)

    def down(self) -> None:
        """Stop and remove all containers; volumes stay."""
        with self.timed("down"):
            self.compose("--profile", "sandbox", "down", seconds=400)

    def compose(
        self, *words: str, options: Iterable[str] = (), outside: bool = False, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """podman-compose in the project's folder."""
        own = ["--in-pod=false", f"--podman-run-args=--cgroup-parent={self.machine.cgroup}", *options]
        return self.machine.run("podman-compose", *own, *words, cwd=self.folder, outside=outside, seconds=seconds)

    def healthy(self, service: str) -> bool:
        """Whether the service's health check, run now, passes."""
        return not self.machine.run("podman", "healthcheck", "run", f"bide_{service}_1", check=False).returncode

    def inspect(self, service: str) -> dict[str, Any]:
        """All that podman knows of a service's container."""
        [found] = json.loads(self.machine.run("podman", "inspect", f"bide_{service}_1").stdout)
        assert isinstance(found, dict)
        return found

    def exec(self, service: str, *command: str, text: str | None = None, check: bool = True) -> str:
        """What a command writes in the container of a service."""
        words = ["podman", "exec", *(["--interactive"] if text is not None else []), f"bide_{service}_1", *command]
        done = self.machine.run(*words, text=text, check=check)
        return done.stdout + ("" if check else done.stderr)

    def logs(self, service: str) -> str:
        """What the container of a service has written."""
        done = self.machine.run("podman", "logs", f"bide_{service}_1", check=False)
        return done.stdout + done.stderr

    def kill(self, service: str) -> None:
        """SIGKILL to the first process of a container; Compose's `restart` brings it back."""
        before = self.inspect(service)["State"]["Pid"]
        self.machine.run("kill", "-KILL", str(before))
        eventually(lambda: self.inspect(service)["State"]["Pid"] not in (0, before), what=f"{service} is back")

    def call(self, *words: str, given: Any = None) -> Any:
        """What a caller on the machine gets, who knows the published ports alone (`tests.containers.caller`)."""
        secrets = self.folder / "secrets"
        command = (sys.executable, "-m", "tests.containers.caller", str(secrets), *words)
        return json.loads(self.machine.run(*command, cwd=ROOT, text=json.dumps(given), seconds=300).stdout)

    def purchases(self) -> list[dict[str, Any]]:
        """The book of the simulated providers."""
        code = (
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8900/_sandbox/purchases').read().decode())"
        )
        bought: list[dict[str, Any]] = json.loads(self.exec("sandbox", "python", "-c", code))
        return bought
