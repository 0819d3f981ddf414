"""Orders to kill a process at a named point, and its report: files that the tests and the doomed process share."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from bide.crashpoints import Point

#: Environment variable of the doomed process: where its order will lie.
ORDER_VARIABLE = "CRASH_ORDER"

#: Points at which a request is cut in half on its way out.
CUTTING: tuple[Point, ...] = ("request_half_sent", "half_uploaded")


@dataclass(frozen=True)
class Order:
    """Kill at `point`, once everyone has come there; `whom`: what the ids of their Celery tasks begin with."""

    point: Point
    whom: tuple[str, ...]

    def write(self, path: Path) -> None:
        draft = path.with_suffix(".part")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The order that stands; None where there is none."""
        with suppress(FileNotFoundError):
            fields = json.loads(path.read_text())
            return cls(fields["point"], tuple(fields["whom"]))
        return None


@dataclass(frozen=True)
class Kill:
    """What a process wrote before it killed itself; `at` in seconds since the epoch."""

    point: str
    whom: tuple[str, ...]
    pid: int
    at: float

    def write(self, order: Path) -> None:
        """Write the report beside the order, and withdraw that."""
        order.with_suffix(".kill").write_text(json.dumps(asdict(self)))
        order.unlink()

    @classmethod
    def take(cls, order: Path) -> Self:
        """Read and remove the report; raises `FileNotFoundError` where nobody was killed."""
        path = order.with_suffix(".kill")
        fields = json.loads(path.read_text())
        path.unlink()
        return cls(fields["point"], tuple(fields["whom"]), fields["pid"], fields["at"])
