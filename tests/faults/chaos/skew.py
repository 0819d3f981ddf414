"""Runs a program whose wall clock jumps: `python -m tests.faults.chaos.skew FILE celery -A workers.app worker ...`.

The file says by how many seconds the clock is off. libfaketime can't do it: with the monotonic clock left true, as a
real jump leaves it, Python's sleep fails under it. So Python's own readings of the wall clock are shifted, before
anything else is imported.
"""

from __future__ import annotations

import datetime as datetime_module
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

#: How soon a shift takes hold [seconds].
LOOK_SECONDS = 0.2


class Skew:
    """The shift, for what starts the program."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.clock"
        self.shift(0)

    def shift(self, seconds: int) -> None:
        """From now on the clock is so much ahead, or behind."""
        draft = self.file.with_suffix(".part")
        draft.write_text(str(seconds))
        draft.replace(self.file)


def install(file: Path) -> None:
    """Have this process's readings of the wall clock off by what the file says."""
    real_time, real_datetime = time.time, datetime_module.datetime
    off = [int(file.read_text())]

    def watch() -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with suppress(OSError, ValueError):
                off[0] = int(file.read_text())

    def shifted() -> float:
        return real_time() + off[0]

    class Either(type):  # an instance of the true class is one of the shifted, too
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real_datetime)

    class Shifted(real_datetime, metaclass=Either):  # type: ignore[misc, valid-type]  # the class is a variable here
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(shifted(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.fromtimestamp(shifted(), datetime_module.UTC).replace(tzinfo=None)

    Shifted.__name__ = Shifted.__qualname__ = "datetime"
    time.time = shifted
    time.time_ns = lambda: int(shifted() * 1_000_000_000)
    datetime_module.datetime = Shifted  # type: ignore[misc]  # that is the point
    threading.Thread(target=watch, name="skew", daemon=True).start()


def main() -> None:
    """Install the shift, then be the `celery` command."""
    _, file, _, *arguments = sys.argv
    install(Path(file))
    sys.argv = ["celery", *arguments]
    from celery.__main__ import main as celery  # noqa: PLC0415 - the clock comes first

    celery()


if __name__ == "__main__":
    main()
