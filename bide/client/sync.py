"""The client of a service: submit, wait, follow, status, result, cancel."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self, Unpack, overload

from bide.client.follow import Followed, JobEvent
from bide.client.follower import Follower
from bide.client.opening import Wanted, open_jobs
from bide.client.outputs import PresignedResult, Uploads, presigned
from bide.client.post import Post
from bide.client.presence import UNKNOWN_SECONDS, Presence, unknown
from bide.client.prices import price_by_ledger
from bide.client.requests import Options, Request, check_job_id, checked, checked_many
from bide.client.status import Status, status_of
from bide.contract import JobResult, JobState
from bide.errors import InvalidRequestError, JobFailed, LedgerAwayError
from bide.ledger import Ledger, Record
from bide.ledger.connection import connect
from bide.pricing import RequestPrice
from bide.redis_client import SENTINEL_MASTER, close, results_at

#: Time between two reads of a waiting client: the first, and the most that it grows to [seconds].
WAIT_FIRST_SECONDS, WAIT_MOST_SECONDS = 0.05, 0.5


class Client:
    """The client of a running bide: it writes to the ledger and sends through the broker. Threads may share it.

    The URLs are those of the deployment's `BIDE_BROKER_URL`, `BIDE_RESULT_URL` and `BIDE_LEDGER_URL`; the latter two
    default to the broker's. `uploads` takes inputs that are too large for a message, see `object_store`;
    `sentinel_master` is the deployment's `BIDE_SENTINEL_MASTER`.
    """

    def __init__(
        self,
        broker_url: str,
        *,
        result_url: str | None = None,
        ledger_url: str | None = None,
        uploads: Uploads | None = None,
        sentinel_master: str = SENTINEL_MASTER,
    ) -> None:
        results = result_url or results_at(broker_url, ledger_url or broker_url)
        self._post = Post(broker_url, results, sentinel_master=sentinel_master)
        self._ledger = Ledger(connect(ledger_url or broker_url, sentinel_master=sentinel_master))
        self._follower = Follower(self._ledger, self._post, self._find)
        self._uploads = uploads

    def submit(self, request: Request, *, job_id: str | None = None, **options: Unpack[Options]) -> str:
        """Enqueue a job; returns its id.

        The record is written first, so that nothing can lose the job afterwards. The `idempotency_key` of an earlier
        request gives the id of the earlier job. Inputs may also be bytes or paths.

        Raises `InvalidRequestError`, `IdempotencyConflictError`, `LedgerAwayError`.
        """
        job_id = check_job_id(job_id or str(uuid.uuid4()))
        [known] = open_jobs(self._ledger, self._post, [Wanted(job_id, *checked(request, options, self._uploads))])
        return known

    def submit_many(
        self, requests: Iterable[Request], *, job_ids: Sequence[str] | None = None, **options: Unpack[Options]
    ) -> list[str]:
        """Enqueue jobs; returns their ids, in the order of the requests. All are checked before the first is enqueued.

        A bad request is named by its place, `requests[3]`. Any later error has a note with the ids of the jobs that
        were enqueued all the same. A second call with the same `job_ids`, or with requests that have idempotency keys,
        buys nothing twice. Raises the errors of `submit`.
        """
        ready = checked_many(requests, options, self._uploads)
        ids = [check_job_id(job_id) for job_id in job_ids or ()] or [str(uuid.uuid4()) for _ in ready]
        if len(ids) != len(ready):
            raise InvalidRequestError(f"job_ids: {len(ids)} ids for {len(ready)} requests")
        return open_jobs(
            self._ledger, self._post, [Wanted(job_id, *one) for job_id, one in zip(ids, ready, strict=True)]
        )

    def price(self, request: Request, **options: Unpack[Options]) -> RequestPrice:
        """What a request will cost, as `bide price` says it; buys nothing.

        The prices are those that the deployment's workers have published in the ledger, and those of the provider's
        file or adapter here. Inputs are not read. Raises the errors of `submit`, and `PriceUnknownError` where no price
        is known.
        """
        return price_by_ledger(self._ledger, request, options)

    def wait(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> JobResult:
        """Wait for a job's result; raises `JobFailed` for a bad end, `TimeoutError` after `timeout_seconds`.

        Raises `UnknownJobError` where bide has neither a record nor a result of the job for `unknown_seconds`. The job
        may be one that was sent as a message and that no worker has taken yet: wait for it with longer ones.
        """
        until = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        pause, presence = WAIT_FIRST_SECONDS, Presence(job_id, unknown_seconds)
        # Not `AsyncResult.get`: it subscribes, serves one waiter per job and process, and outlives a time-out.
        while (result := self._post.result(job_id) or self._look(job_id, presence)) is None:
            left = until - time.monotonic()
            if left <= 0:
                raise self._timed_out(job_id, timeout_seconds)
            time.sleep(min(pause, left))
            pause = min(1.5 * pause, WAIT_MOST_SECONDS)
        return result

    @overload
    def result(self, job_id: str) -> JobResult | None: ...

    @overload
    def result(self, job_id: str, *, presign_seconds: float) -> PresignedResult | None: ...

    def result(self, job_id: str, *, presign_seconds: float | None = None) -> JobResult | None:
        """A job's result out of the ledger; None while the job goes on, or where it is not known.

        With `presign_seconds` each output has a `url` at which anyone can fetch it for so long. That needs `uploads`;
        without them it raises `ConfigurationError`. Raises `JobFailed` for a bad end.
        """
        result = _end_of(self._find(job_id))
        if result is None or presign_seconds is None:
            return result
        return presigned(result, self._uploads, seconds=presign_seconds)

    def status(self, job_id: str) -> Status | None:
        """A job's status out of the ledger; None for a job that was never submitted, or whose record has expired."""
        record = self._find(job_id)
        return status_of(record, job_id) if record else None

    def knows(self, job_id: str) -> bool:
        """Whether bide has a record of a job, or a result whose record has expired; raises `LedgerAwayError`."""
        return self._ledger.jobs.find(job_id) is not None or self._post.has_state(job_id)

    def follow(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> Iterator[JobEvent]:
        """Follow a job: its state and each change of it, each news of its progress, and at last its end.

        A job that has ended gives its end alone. A restart of Redis ends nothing. The loop may be left at any time.
        An idle job is looked at every two seconds. A bad end is an event, too: `JobEnded` with a `failure`.

        Raises `TimeoutError` after `timeout_seconds`, and `UnknownJobError` as `wait` does.
        """
        until = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        followed = Followed(job_id, unknown_seconds=unknown_seconds)
        while True:
            yield from self._follower.events(followed)
            if followed.over:
                return
            left = until - time.monotonic()
            if left <= 0:
                raise self._timed_out(job_id, timeout_seconds)
            time.sleep(min(followed.pause_seconds, left))

    def cancel(self, job_id: str) -> None:
        """Have a job canceled, also at a provider that can stop jobs; what that has accepted is charged.

        A result that it makes all the same is stored, and ends the job well.
        """
        self._post.cancel(job_id)

    def close(self) -> None:
        """Give the connections back."""
        self._post.close()
        close(self._ledger.server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look(self, job_id: str, presence: Presence) -> JobResult | None:
        """Look for a job of which Celery has no state; the result, where its caller asked Celery to keep none."""
        if not presence.is_due:
            return None
        if self._post.has_state(job_id):
            presence.note(known=True)
            return None
        try:
            record = self._find(job_id)
        except LedgerAwayError:  # an outage does not end a wait
            presence.note(known=True)
            return None
        presence.note(known=record is not None)
        return _end_of(record)

    def _timed_out(self, job_id: str, seconds: float | None) -> TimeoutError:
        """The error of a wait that ends after `seconds`; its text says whether the job goes on."""
        try:
            known = self._post.has_state(job_id) or self._find(job_id) is not None
        except LedgerAwayError as error:
            return TimeoutError(f"job {job_id} has not ended within {seconds:g} s; {error}")
        if known:
            return TimeoutError(f"job {job_id} has not ended within {seconds:g} s; it goes on")
        return TimeoutError(f"{unknown(job_id)} (after {seconds:g} s)")

    def _find(self, job_id: str) -> Record | None:
        """The record of a job; a follower's is that of the job that it follows."""
        record = self._ledger.jobs.find(job_id)
        if record is not None and record.following is not None:
            return self._ledger.jobs.read(record.account, record.following)
        return record


def _end_of(record: Record | None) -> JobResult | None:
    """The result in a job's record; None before its end. Raises `JobFailed` for a bad end."""
    if record is None or not (record.state.final or record.state is JobState.UNCONFIRMED):
        return None
    if record.state is not JobState.SUCCEEDED:
        raise JobFailed(record.failure.model_dump_json())
    return JobResult.model_validate_json(record.text("result"))
