"""The places where a kill hurts, by name: each is reached at one line of the code, and the fault tests kill there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

#: In the order in which a job passes them; each says what is done already, and with "and not" what would come next.
Point = Literal[
    "before_record",
    "recorded",
    "capacity_taken",
    "intent_written",
    "request_half_sent",  # reached when the request goes out: a kill there cuts it in half
    "answer_read",  # and not recorded
    "answer_recorded",  # and no round scheduled
    "poll_claimed",
    "poll_answered",  # and not recorded
    "poll_recorded",  # and no message sent to resume the job
    "job_resumed",  # and the round not acknowledged
    "half_downloaded",  # reached with each piece
    "half_uploaded",  # reached when the upload goes out: a kill there cuts it in half
    "objects_uploaded",  # and no `job.json`
    "document_uploaded",  # `job.json` is, and its end not recorded
    "end_recorded",  # and the caller without an answer
    "caller_told",  # and the message not acknowledged
]

POINTS: tuple[Point, ...] = get_args(Point)

#: Functions that are called at each point. There are some only in the processes that the fault tests start.
watchers: list[Callable[[Point], None]] = []


def reached(point: Point) -> None:
    """Call the watchers; without them this costs what an empty function costs."""
    if watchers:
        for watch in watchers:
            watch(point)
