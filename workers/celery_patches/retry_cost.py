"""A cheap suspension: Celery describes the traceback of every `Retry`, though nothing reads it.

For each frame billiard copies the position table of its code. That of Celery's own tracer has thousands of entries.
Copying it was a fifteenth of a busy worker's CPU. Code never changes, so one copy of each serves for ever.
"""

from __future__ import annotations

from functools import lru_cache

from billiard import einfo

#: How many descriptions of code are cached: those between Celery's tracer and the line that raises.
CACHED_CODES = 256


def cache_code() -> None:
    """Have billiard describe each code object once; does nothing where billiard works differently."""
    frame = getattr(einfo, "_Frame", None)
    code = getattr(frame, "Code", None)
    if isinstance(code, type):
        frame.Code = staticmethod(lru_cache(CACHED_CODES)(code))  # type: ignore[union-attr]  # not None: it has a Code
