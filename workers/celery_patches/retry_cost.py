"""Makes a suspension cheap: Celery describes the traceback of every `Retry`, though nobody reads it.

For each frame billiard copies the position table of its code. That of Celery's own tracer has thousands of entries, and
copying it was a fifteenth of a busy worker's CPU. Code never changes, so one copy of each serves for ever.
"""

from __future__ import annotations

from functools import lru_cache

from billiard import einfo

#: Pieces of code that are remembered: those on the way from Celery's tracer to whatever raises.
MOST_CODES = 256


def remember_code() -> None:
    """Let billiard describe each piece of code once; does nothing where billiard works differently."""
    frame = getattr(einfo, "_Frame", None)
    code = getattr(frame, "Code", None)
    if isinstance(code, type):
        frame.Code = staticmethod(lru_cache(MOST_CODES)(code))  # type: ignore[union-attr]  # not None: it has a Code
