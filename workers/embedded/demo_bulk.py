"""A demo's bulk run: rows for all providers, begun the way `bide bulk run` does it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bide.bulk import results
from bide.bulk.names import sheet_key
from bide.bulk.record import Options
from bide.bulk.runs import Runs
from bide.bulk.start import new_run_id, open_intake, start
from bide.client.post import Post
from bide.ledger.connection import connect
from bide.storage import Storage
from workers.embedded.demo_jobs import demo_rows
from workers.embedded.servers import ObjectStore


class DemoBulk:
    """One bulk run and what is known of it."""

    def __init__(self, runs: Runs, post: Post, objects: ObjectStore) -> None:
        self._runs, self._post, self._objects = runs, post, objects
        self._storage = objects.open()
        self._began_at = 0.0
        self.run_id = f"demo-{new_run_id()}"
        self.progress: Mapping[str, Any] = {}
        self.seconds = 0.0

    @property
    def over(self) -> bool:
        return self.progress.get("state") in ("finished", "canceled")

    @property
    def succeeded(self) -> bool:
        return self.over and bool(self.progress["succeeded"] == self.progress["rows"])

    @property
    def sheet(self) -> Path:
        """Its contact sheet, as a file."""
        return self._objects.folder / self._storage.options.bucket / sheet_key(self.run_id)

    def begin(self, file: Path) -> None:
        """Write the rows into `file`, and begin a run of them."""
        rows = demo_rows(lambda name, content: _put(self._storage, name, content))
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        with open_intake(str(file), template=None, storage=self._storage) as intake:
            start(self._runs, self._storage, intake, run_id=self.run_id, source=str(file), options=Options())
        self._post.feed_run(self.run_id)
        self._began_at = time.monotonic()

    def read(self) -> bool:
        """Read how far the run is; whether that is further than before."""
        before, run = self.progress, self._runs.read(self.run_id)
        self.progress = run.progress() if run else before
        self.seconds = time.monotonic() - self._began_at
        return any(self.progress.get(name) != before.get(name) for name in ("done", "state"))

    def reasons(self) -> list[str]:
        """Why not all rows succeeded, as far as the results say so."""
        errors = [(line["row"], line["error"]) for line in results.read(self._storage, self.run_id)]
        return [f"row {row}: {error['code']}: {error['message']}" for row, error in errors if error]


@contextmanager
def demo_bulk(broker_url: str, objects: ObjectStore) -> Iterator[DemoBulk]:
    """A run that has not begun, and what it needs for as long as the block lasts."""
    with connect(broker_url) as server, closing(Post(broker_url, broker_url, sentinel_master="")) as post:
        yield DemoBulk(Runs(server), post, objects)


def _put(storage: Storage, name: str, content: bytes) -> str:
    key = f"uploads/{name}"
    storage.put(key, content, content_type="image/jpeg")
    return storage.uri(key)
