"""A worker that is asked to begin runs: as much of its toolbox as that takes, over a ledger and a store in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from bide.bulk.record import Options, Run
from bide.bulk.runs import Runs
from bide.bulk.start import open_intake
from bide.settings.sections import BulkSettings, TimingSettings
from bide.storage import Storage
from config.schedules import SCHEDULES_FILE
from tests.unit.bulk_world import some_rows
from tests.unit.memory_store import memory_storage
from workers.scheduling.begin_run import begin_run
from workers.toolbox import Toolbox

SOURCE = "s3://memory/rows.jsonl"

#: The worker's time.
NOW = datetime(2026, 11, 30, 2, 31, tzinfo=UTC)

ASKED = {"run_id": "r", "source": SOURCE}


@dataclass
class FewSettings:
    """The settings that beginning a run takes."""

    timing: TimingSettings = field(default_factory=TimingSettings)
    providers: dict[str, Any] = field(default_factory=dict)
    bulk: BulkSettings = field(default_factory=BulkSettings)


@dataclass
class Tools:
    """As much of a toolbox as beginning a run takes."""

    runs: Runs
    storage: Storage = field(default_factory=memory_storage)
    settings: FewSettings = field(default_factory=FewSettings)

    def begin(
        self, message: dict[str, Any] = ASKED, schedules: Path = SCHEDULES_FILE, *, now: datetime = NOW
    ) -> str | None:
        """What a message that asks for the run does, in a worker with that file of schedules."""
        return begin_run(cast("Toolbox", self), message, schedules=schedules, now=now)

    def write_source(self, count: int) -> None:
        """So many rows are to be bought."""
        self.storage.put("rows.jsonl", "\n".join(map(json.dumps, some_rows(count))).encode(), content_type="")

    def delete_source(self) -> None:
        del self.storage.client.objects["rows.jsonl"]  # type: ignore[attr-defined]  # the double's own

    def note_only(self) -> None:
        """A worker dies after it noted the run, and before the run has its input."""
        with open_intake(SOURCE, template=None, storage=self.storage) as intake:
            self.runs.create("r", rows=intake.rows, digest=intake.digest, source=SOURCE, options=Options())

    @property
    def run(self) -> Run:
        found = self.runs.read("r")
        assert found is not None
        return found
