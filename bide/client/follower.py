"""Looks at followed jobs, by the blocking clients of ledger and results."""

from __future__ import annotations

from collections.abc import Callable

import redis

from bide.client.follow import ENDS, FIELDS, Followed, JobEnded, JobEvent, Look, Place, look_of, place_of
from bide.client.post import Post
from bide.contract import Failure, FailureCode, JobResult, JobState
from bide.errors import JobFailed, LedgerAwayError
from bide.ledger import Ledger, Record

#: How a job has ended whose record has expired, by the code of its failure.
_STATES = {FailureCode.CANCELED: JobState.CANCELED, FailureCode.SUBMISSION_UNKNOWN: JobState.UNCONFIRMED}


class Follower:
    """`find` gives the record of a job, or of the one whose result it waits for. Threads may share a follower."""

    def __init__(self, ledger: Ledger, post: Post, find: Callable[[str], Record | None]) -> None:
        self._ledger, self._post, self._find = ledger, post, find

    def events(self, followed: Followed) -> list[JobEvent]:
        """What one look finds; an outage brings nothing new."""
        try:
            place = self.place(followed)
            look = self._look(place) if place else None
            if look is None or look.state in ENDS:
                return self.end(followed)
        except (LedgerAwayError, redis.RedisError) as error:
            return followed.away(error)
        return followed.changes(look)

    def place(self, followed: Followed) -> Place | None:
        """Where the record of a followed job lies; it is looked for once."""
        if followed.place is None:
            record = self._ledger.jobs.find(followed.job_id)
            followed.place = place_of(record) if record else None
        return followed.place

    def end(self, followed: Followed) -> list[JobEvent]:
        """The end of a job that is over, or whose record has gone; nothing where there is none."""
        job_id = followed.job_id
        record = self._find(job_id)
        if end := _by_record(job_id, record) if record else self._by_result(job_id):
            return followed.ended(end)
        followed.place = None
        followed.note(known=record is not None or self._post.has_state(job_id))
        return []

    def _look(self, place: Place) -> Look | None:
        pipeline = self._ledger.executor.pipeline()
        for key in place.keys:
            pipeline.hmget(key, FIELDS)
        return look_of(self._ledger.executor.execute(pipeline))

    def _by_result(self, job_id: str) -> JobEnded | None:
        """The end of a job without a record, as far as Celery has it still."""
        try:
            result = self._post.result(job_id)
        except JobFailed as failed:
            failure = Failure.model_validate_json(str(failed))
            return JobEnded(job_id, _STATES.get(failure.code, JobState.FAILED), failure=failure)
        return JobEnded(job_id, JobState.SUCCEEDED, result=result) if result else None


def _by_record(job_id: str, record: Record) -> JobEnded | None:
    """The end of a job out of its record, for a caller who knows it as `job_id`; None where it goes on."""
    if record.fields["state"] not in ENDS:
        return None
    if record.state is JobState.SUCCEEDED:
        return JobEnded(job_id, record.state, result=JobResult.model_validate_json(record.text("result")))
    return JobEnded(job_id, record.state, failure=record.failure)
