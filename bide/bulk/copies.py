"""Rows that repeat an earlier one of their run: bought once, and one result for all of them."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import Mapping

from bide.bulk.names import copies_key
from bide.bulk.record import Run
from bide.storage import Storage

#: Most rows of a run that may repeat others: the feeder keeps them all in memory.
MOST_COPIES = 50_000

#: The largest list of copies [bytes].
MOST_BYTES = 32 * MOST_COPIES

#: Runs whose copies the feeder keeps in memory.
CACHED_RUNS = 4


class Copies:
    """The copies of one run: `first_of` gives a copy's first row, `of` a first row's copies."""

    def __init__(self, first_of: Mapping[int, int]) -> None:
        self.first_of = dict(first_of)
        self.of: dict[int, list[int]] = defaultdict(list)
        for row, first in self.first_of.items():
            self.of[first].append(row)

    def to_json(self) -> bytes:
        return json.dumps(sorted(self.first_of.items()), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Copies:
        return cls(dict(json.loads(content)))


class CopiesOfRuns:
    """The copies of the runs that a feeder feeds, read from object storage; raises `StorageError`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: OrderedDict[tuple[str, str], Copies] = OrderedDict()

    def of(self, run: Run) -> Copies:
        if not run.number("copies"):
            return Copies({})
        key = (run.run_id, run.text("digest"))
        if key not in self._kept:
            uri = self._storage.uri(copies_key(run.run_id))
            self._kept[key] = Copies.from_json(self._storage.get(uri, max_bytes=MOST_BYTES))
            while len(self._kept) > CACHED_RUNS:
                self._kept.popitem(last=False)
        return self._kept[key]
