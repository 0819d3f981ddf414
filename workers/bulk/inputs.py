"""The rows of a run's input, read out of object storage a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from bide.bulk import objects
from bide.bulk.names import input_key
from bide.bulk.record import LiveRow
from bide.contract import MAX_REQUEST_BYTES, GenerateRequest
from bide.errors import StorageError
from bide.storage import Storage

#: How much of the input is read at once [bytes]; the longest row fits in.
PAGE_BYTES = 2 * MAX_REQUEST_BYTES

#: Rows that are read, and made live, together.
PAGE_ROWS = 500


@dataclass(frozen=True)
class InputRow:
    """One row of the input, and where it lies."""

    row: int
    offset: int
    text: bytes

    @property
    def next_offset(self) -> int:
        return self.offset + len(self.text) + 1


class Input:
    """`runs/{run_id}/input.jsonl`; every method raises `StorageError`."""

    def __init__(self, storage: Storage, run_id: str) -> None:
        self._storage = storage
        self._uri = storage.uri(input_key(run_id))

    def page(self, *, row: int, offset: int, most: int) -> list[InputRow]:
        """The rows from `row` on, which begins at `offset`: as many as one page holds, `most` at most."""
        lines = []
        for text in self._read(offset, PAGE_BYTES).split(b"\n")[:-1][:most]:
            lines.append(InputRow(row, offset, text))
            row, offset = row + 1, lines[-1].next_offset
        if not lines:
            raise StorageError(f"{self._uri} has no row {row}: it was changed after the run began", permanent=True)
        return lines

    def texts(self, rows: Iterable[LiveRow]) -> dict[int, bytes]:
        """The requests of some rows; rows that lie side by side are read together."""
        found: dict[int, bytes] = {}
        for together in _neighbours(sorted(rows, key=lambda live: live.place)):
            first = together[0].place[0]
            content = self._read(first, sum(together[-1].place) - first)
            for live in together:
                offset, length = live.place
                found[live.row] = content[offset - first : offset - first + length]
        return found

    def _read(self, offset: int, count: int) -> bytes:
        return objects.part(self._storage, self._uri, first=offset, count=count)


def _neighbours(rows: list[LiveRow]) -> Iterator[list[LiveRow]]:
    """Rows, in the order of the input, in groups that one page holds."""
    group: list[LiveRow] = []
    for live in rows:
        if group and sum(live.place) - group[0].place[0] > PAGE_BYTES:
            yield group
            group = []
        group.append(live)
    if group:
        yield group


def parsed(text: bytes) -> GenerateRequest | None:
    """The request of a line of the input; None for a line that is no request."""
    try:
        return GenerateRequest.model_validate_json(text)
    except ValidationError:
        return None
