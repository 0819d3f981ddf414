"""A step of work and the one line that it leaves in the log (docs/logs.md): noted on the way, written at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, Self

import structlog

from bide.ledger import Record

log = structlog.get_logger()

Level = Literal["info", "warning", "error"]


class StepLog:
    """`with StepLog("job.step") as line: ...` writes its line however the block ends.

    All that is logged within carries the names given to `about`, by structlog's context: a task has its own.
    `draw` draws the step before its line is written, see `workers.telemetry.tracing`.
    """

    def __init__(self, event: str, *, draw: Callable[[StepLog], None] | None = None) -> None:
        self.event, self.facts = event, dict[str, Any]()
        self._draw = draw
        self.level: Level = "info"
        #: Nothing was to be done, so no line is written.
        self.silent = False
        #: The job, and the headers of its message: for its trace.
        self.record: Record | None = None
        self.headers: Mapping[str, Any] = {}
        self.began = self.ended = 0.0

    def about(self, **names: str) -> None:
        """What the step is about, for its own line and all that are written meanwhile."""
        structlog.contextvars.bind_contextvars(**names)

    def note(self, level: Level | None = None, /, **facts: Any) -> None:
        """What came of it; None is left out, and the last value of a name counts."""
        self.level = level or self.level
        self.facts.update((name, fact) for name, fact in facts.items() if fact is not None)

    def __enter__(self) -> Self:
        self.began, self._clock = time.time(), time.monotonic()
        self._outer = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.monotonic() - self._clock
        self.ended = self.began + seconds
        _current.reset(self._outer)
        if kind and "outcome" not in self.facts:  # its origin logs it
            self.note("error", outcome="broke", error=kind.__name__)
        if self._draw is not None:
            self._draw(self)
        if not self.silent:
            getattr(log, self.level)(self.event, duration_seconds=round(seconds, 4), **self.facts)


_current: ContextVar[StepLog | None] = ContextVar("bide_line", default=None)


def note(level: Level | None = None, /, **facts: Any) -> None:
    """What came of the step that is under way in this context; nothing where there is none."""
    if (line := _current.get()) is not None:
        line.note(level, **facts)
