"""Whether a job that a client waits for is known, and when a wait for an unknown one ends."""

from __future__ import annotations

import time

from bide.errors import UnknownJobError

#: How long a job may be unknown before a wait for it ends [seconds].
UNKNOWN_SECONDS = 5.0

#: Time between two looks for a job's record: while the job is unknown, and once it is known [seconds].
LOOK_SECONDS, LOOK_AGAIN_SECONDS = 1.0, 10.0


class Presence:
    """One wait's knowledge of its job. A record is looked for only where Celery has no state of the job.

    The client writes a record before `submit` returns. A worker writes it for a request that came as a message.
    """

    def __init__(self, job_id: str, unknown_seconds: float) -> None:
        self._job_id, self._unknown_seconds = job_id, unknown_seconds
        self._known_at = time.monotonic()
        self._look_at = self._known_at + min(LOOK_SECONDS, unknown_seconds)

    @property
    def is_due(self) -> bool:
        """Whether to look for the record now."""
        return time.monotonic() >= self._look_at

    def note(self, known: bool) -> None:
        """Note what a look has found; raises `UnknownJobError` where the job has been unknown for too long."""
        now = time.monotonic()
        self._look_at = now + (LOOK_AGAIN_SECONDS if known else LOOK_SECONDS)
        if known:
            self._known_at = now
        elif now - self._known_at >= self._unknown_seconds:
            raise UnknownJobError(unknown(self._job_id))


def unknown(job_id: str) -> str:
    """What it means that bide has neither a record nor a result of a job."""
    return (
        f"job {job_id} is not known: bide has neither a record nor a result of it. Either it was never submitted here, "
        "or its record has expired, or it was sent as a message that no worker has taken yet"
    )
