"""Bulk runs for tests: begin one, wait for its end, and see that every row ended once and was bought once at most."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bide.bulk.record import Options, Run
from bide.bulk.runs import Runs
from bide.bulk.start import open_intake, start
from bide.client.post import Post
from bide.storage import Storage, StorageOptions
from sandbox.running import Sandbox
from tests.integration.caller import image
from tests.integration.object_store import BUCKET, REGION
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

ENDS = ("succeeded", "failed", "unconfirmed", "canceled", "skipped")


class Bulk:
    """The runs of a rig's deployment. Keys of its store must stand in the environment."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self._rig, self._folder = rig, folder
        self.storage = Storage(StorageOptions(BUCKET, rig.store.url, region=REGION))
        self.server = rig.server()
        self.runs = Runs(self.server)
        self._post = Post(rig.redis.url, rig.redis.url, sentinel_master="")

    def close(self) -> None:
        self._post.close()
        self.server.close()
        self.storage.client.close()

    def begin(self, run_id: str, requests: Iterable[dict[str, Any]], options: Options | None = None) -> bool:
        """Begin a run as `bide bulk run` does."""
        file = self._folder / f"{run_id}.jsonl"
        file.write_text("".join(json.dumps(request) + "\n" for request in requests))
        return self.begin_file(run_id, file, options)

    def begin_file(self, run_id: str, file: Path, options: Options | None = None, template: Path | None = None) -> bool:
        """Begin a run of a file that is there."""
        places = str(template) if template else None
        with open_intake(str(file), template=places, storage=self.storage) as intake:
            begun = start(
                self.runs, self.storage, intake, run_id=run_id, source=file.name, options=options or Options(window=100)
            )
        self.feed(run_id)
        return begun

    def feed(self, run_id: str) -> None:
        self._post.feed_run(run_id)

    def run(self, run_id: str) -> Run:
        found = self.runs.read(run_id)
        assert found is not None
        return found

    def over(self, run_id: str, *, within_seconds: float = 60.0) -> dict[str, Any]:
        """Wait for a run's end, and check it; its summary."""

        def ended() -> bool:
            return self.run(run_id).over

        eventually(ended, what=f"run {run_id} is over", within_seconds=within_seconds)
        return self.check(run_id)

    def summary(self, run_id: str) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(self._rig.store.read(f"runs/{run_id}/summary.json")[0])
        return summary

    def lines(self, run_id: str) -> list[dict[str, Any]]:
        """All lines of the results."""
        parts = [self._rig.store.read(key)[0] for key in self._rig.store.names(f"runs/{run_id}/results-")]
        return [json.loads(line) for part in parts for line in part.splitlines()]

    def check(self, run_id: str) -> dict[str, Any]:
        """Each row ended in one state, the sums agree, and nothing of the run is left in Redis but its record."""
        summary, run = self.summary(run_id), self.run(run_id)
        states = Counter(line["state"] for line in self.lines(run_id))
        assert sorted(line["row"] for line in self.lines(run_id)) == list(range(1, summary["rows"] + 1))
        assert {end: summary[end] for end in ENDS} == {end: states[end] for end in ENDS}
        assert sum(states.values()) == summary["rows"] == run.number("rows")
        assert run.ended == {end: states[end] for end in ENDS}
        assert run.number("reserved") == 0
        assert {self.server.ttl(key) > 0 for key in self.server.scan_iter(f"bide:run:{run_id}:*")} == {True}
        assert not list(self.server.scan_iter(f"celery-task-meta-{run_id}.*"))
        records = list(self.server.scan_iter(f"bide:{{*}}:job:{run_id}.*"))
        waiting = eventually(lambda: records == self._unsettled(run_id) or None, what="records are dropped")
        assert waiting
        return summary

    def _unsettled(self, run_id: str) -> list[str]:
        """Records that are to stay: of unconfirmed jobs, for the operators."""
        keys = list(self.server.scan_iter(f"bide:{{*}}:job:{run_id}.*"))
        return [key for key in keys if self.server.hget(key, "state") == "unconfirmed"]


def rows(marked: str, count: int, **more: Any) -> list[dict[str, Any]]:
    """Requests that differ in their prompts."""
    return [image(f"{marked} {number}", **more) for number in range(1, count + 1)]


def bought(rig: Rig, marked: str) -> Counter[str]:
    """How often each prompt was bought."""
    return Counter(purchase["reference"] for purchase in rig.purchases(marked))


def quick_rig(folder: Path) -> Rig:
    """A deployment whose provider is quick, with small results that are all alike: drawing them would take longest."""
    rig = Rig(folder)
    rig.sandbox = Sandbox(latency_seconds=0.5, result_bytes=2000, journal=folder / "purchases.jsonl")
    return rig
