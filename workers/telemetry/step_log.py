"""The one log line of a step (docs/logs.md): its fields are noted on the way, and written at the step's end."""

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

    Lines that are logged within have the fields of `about`, by structlog's context: a task has a context of its own.
    `draw` is called with the step at its end, before its line is written: it draws the step's span.
    """

    def __init__(self, event: str, *, draw: Callable[[StepLog], None] | None = None) -> None:
        self.event, self.facts = event, dict[str, Any]()
        self._draw = draw
        self.level: Level = "info"
        #: The step had nothing to do, and writes no line.
        self.silent = False
        #: The job, and the headers of its message: for its trace.
        self.record: Record | None = None
        self.headers: Mapping[str, Any] = {}
        self.began = self.ended = 0.0

    def about(self, **names: str) -> None:
        """Fields for the step's own line and all lines that are logged meanwhile."""
        structlog.contextvars.bind_contextvars(**names)

    def note(self, level: Level | None = None, /, **facts: Any) -> None:
        """Fields of the line: None is left out, and a later value replaces an earlier one."""
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
        if kind and "outcome" not in self.facts:  # the caller logs the traceback
            self.note("error", outcome="broke", error=kind.__name__)
        if self._draw is not None:
            self._draw(self)
        if not self.silent:
            getattr(log, self.level)(self.event, duration_seconds=round(seconds, 4), **self.facts)


_current: ContextVar[StepLog | None] = ContextVar("bide_line", default=None)


def note(level: Level | None = None, /, **facts: Any) -> None:
    """Add fields to the line of the step that is under way in this context; does nothing where there is none."""
    if (line := _current.get()) is not None:
        line.note(level, **facts)
