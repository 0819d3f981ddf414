"""Deployments that lose their ledger: how they are set up, how the ledger is lost, and what is counted afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bide.bulk.objects import keys
from bide.cli.stores import object_store
from bide.ledger import Ledger
from bide.ledger.identity import TOLERATED_SECONDS, read_state
from bide.storage import Storage
from tests.integration.processes import ROOT
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

#: How a ledger is lost, in words.
WAYS = {
    "flushall": "FLUSHALL in mid-flight",
    "disk": "Redis killed, and started with an empty disk",
    "backup": "Redis killed, and started with an old backup",
}

#: How long jobs may take to come home [seconds].
HOME_SECONDS = 240.0


class ReceiptRig(Rig):
    """A deployment with receipts, or without."""

    receipts = "s3"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"BIDE_LEDGER__RECEIPTS": self.receipts}

    @property
    def storage(self) -> Storage:
        """Its bucket."""
        storage = object_store(self.environment())
        assert storage is not None
        return storage

    def stored(self, marked: str) -> set[str]:
        """The jobs of which a `job.json` stands in the bucket."""
        found = keys(self.storage, "20")
        return {key.split("/")[-2] for key in found if key.endswith("/job.json") and marked in key}

    def listed(self) -> set[str]:
        """The jobs on the operators' list."""
        with self.server() as server:
            ledger = Ledger(server)
            return {each.job_id for name in ledger.accounts.names() for each in ledger.unconfirmed.doubtful(name)}

    def under_way(self) -> bool:
        """Whether a job is at the provider, or in a worker's hands."""
        counts = self.counts()
        return any(counts.get(name) for name in ("due", "lease"))

    def recover(self, *options: str) -> dict[str, Any]:
        """What `bide recover` says, as JSON."""
        return dict(json.loads(self.command("workers.recover", "--json", *options)))

    def confirm(self) -> None:
        """An operator has the ledger count from now on."""
        self.command("ledger", "confirm", "--yes", program="bide")

    def command(self, *words: str, program: str = "") -> str:
        """What a command of the deployment prints, or of the program beside Python; it must end well."""
        first = [str(Path(sys.executable).with_name(program))] if program else [sys.executable, "-m"]
        done = subprocess.run(
            [*first, *words], env=self.environment(), cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    # How it is lost

    def lose(self, way: str) -> None:
        """Lose the ledger in one of the `WAYS`; `backup` takes as long as a backup takes to be old."""
        folder = self._folder / "redis"
        if way == "flushall":
            with self.server() as server:
                server.flushall()
            return
        backup = self._back_up() if way == "backup" else b""
        self.redis.kill()
        _empty(folder)
        if backup:
            self.redis.snapshot.write_bytes(backup)
            self.redis._appendonly = False  # Redis reads the snapshot then
        self.redis.start()
        if backup:
            with self.server() as server:
                server.config_set("appendonly", "yes")
            self.redis._appendonly = True

    def _back_up(self) -> bytes:
        """The content of a snapshot that is too old by now for the workers to go on."""
        with self.server() as server:
            server.save()
            backup, taken_at = self.redis.snapshot.read_bytes(), read_state(server).looked_at
            eventually(
                lambda: read_state(server).looked_at > taken_at + 1.5 * TOLERATED_SECONDS,
                what="the backup is old",
                within_seconds=60,
            )
        return backup


class NeighbourRig(ReceiptRig):
    """A deployment with a Redis and processes of its own, beside another one's bucket and providers."""

    def __init__(self, folder: Path, other: Rig, *, settings: Mapping[str, str] | None = None) -> None:
        folder.mkdir()
        super().__init__(folder, settings=settings)
        self.store, self.sandbox = other.store, other.sandbox

    def _start_servers(self) -> None:
        self._stack.callback(self.redis.kill)
        self.redis.start()


def settled(number: Callable[[], int]) -> None:
    """Wait until nothing more is bought: submits under way have their answers, and what follows them is written."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 3.0:
        if (now := number()) != before:
            before, since = now, time.monotonic()
        time.sleep(0.1)


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != "log":
            each.unlink()
