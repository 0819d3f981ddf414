"""For other services: submit a generation job, wait for its result, look at it, cancel it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from celery import Celery
from celery.states import READY_STATES, SUCCESS
from kombu.exceptions import OperationalError

from bide.contract import (
    CANCEL_TASK,
    CONTROL_QUEUE,
    GENERATE_TASK,
    JOB_ID,
    MAX_REQUEST_BYTES,
    SUBMIT_QUEUE,
    Failure,
    GenerateRequest,
    JobResult,
    JobState,
)
from bide.describe import describe
from bide.errors import IdempotencyConflictError, InvalidRequestError
from bide.ledger import Ledger, Record, Verb
from bide.ledger.scripts import connect
from bide.providers import find

#: Inputs above this size are uploaded first where the client has a store [bytes].
UPLOAD_ABOVE_BYTES = 32 * 1024

#: How often a waiting client looks: soon at first, then ever more seldom, up to the second figure [seconds].
WAIT_FIRST_SECONDS, WAIT_MOST_SECONDS = 0.05, 0.5

#: How a client publishes: fails within a second when the broker is away, instead of blocking.
_PUBLISH = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}


class Uploads(Protocol):
    """Where large inputs go; `bide.storage.Storage` is one."""

    def put(self, key: str, body: Any, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        """Store `body` under `key`."""
        ...

    def uri(self, key: str) -> str:
        """The `s3://` address of `key`."""
        ...


@dataclass(frozen=True)
class Status:
    """Where a job stands; times are in UTC."""

    job_id: str
    state: JobState
    provider: str
    operation: str
    provider_job_id: str | None
    polls: int
    created_at: datetime | None
    deadline_at: datetime | None
    #: What was last heard from the provider or decided about the job.
    note: str
    failure: Failure | None


class Client:
    """Talks to a running bide through its broker and its ledger; may be shared by threads.

    The URLs are those of the deployment's `BIDE_BROKER_URL`, `BIDE_RESULT_URL` and `BIDE_LEDGER_URL`; the latter two
    default to the broker's. `uploads` takes inputs that are too large for a message.
    """

    def __init__(
        self,
        broker_url: str,
        *,
        result_url: str | None = None,
        ledger_url: str | None = None,
        uploads: Uploads | None = None,
    ) -> None:
        self._app = _app(broker_url, result_url or broker_url)
        self._ledger = Ledger(connect(ledger_url or broker_url))
        self._uploads = uploads

    def submit(self, request: GenerateRequest | Mapping[str, Any], *, job_id: str | None = None) -> str:
        """Enqueue a job; returns its id.

        The record is written first, so that from here on nothing can lose the job. With the `idempotency_key` of an
        earlier request the id is that of the earlier job. Inputs may be bytes or paths besides what the wire takes.

        Raises `InvalidRequestError`, `IdempotencyConflictError`, `LedgerAwayError`.
        """
        job_id = job_id or str(uuid.uuid4())
        if not JOB_ID.fullmatch(job_id):
            raise InvalidRequestError("job_id: letters, digits and _.:- only, 128 at most")
        checked = self._checked(request)
        adapter = find(checked.provider)
        adapter.check(checked.operation, checked.params, set(checked.inputs))
        step = self._ledger.open(job_id, checked, deadline_seconds=adapter.deadline_for(checked.operation))
        if step.verb is Verb.FOLLOW:
            return step.other
        if step.verb is Verb.CONFLICT:
            raise IdempotencyConflictError(
                f"the {'job id' if step.other == job_id else 'idempotency key'} was used with another request, "
                f"job {step.other}; take a new one, or send the same request"
            )
        self._publish(job_id, checked)
        return job_id

    def wait(self, job_id: str, *, timeout_seconds: float | None = None) -> JobResult:
        """Wait for a job's result; raises `JobFailed` for a bad end, `TimeoutError` when it takes longer."""
        until = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        pause = WAIT_FIRST_SECONDS
        # Not `AsyncResult.get`: it subscribes, serves one waiter per job and process, and outlives a time-out.
        while (meta := self._app.backend.get_task_meta(job_id))["status"] not in READY_STATES:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"job {job_id} has not ended within {timeout_seconds:g} s; it goes on")
            time.sleep(min(pause, left))
            pause = min(1.5 * pause, WAIT_MOST_SECONDS)
        if meta["status"] != SUCCESS:
            raise meta["result"]
        return JobResult.model_validate_json(json.dumps(meta["result"]))

    def status(self, job_id: str) -> Status | None:
        """What the ledger knows of a job; None where it knows nothing (never seen, or expired)."""
        record = self._ledger.find(job_id)
        if record is not None and record.following is not None:
            record = self._ledger.read(record.account, record.following)
        return _status(record, job_id) if record else None

    def cancel(self, job_id: str) -> None:
        """Have a job canceled; what a provider has accepted stands and is charged."""
        self._app.send_task(CANCEL_TASK, kwargs={"job_id": job_id}, queue=CONTROL_QUEUE, ignore_result=True)

    def close(self) -> None:
        """Give the connections back."""
        self._app.close()
        self._ledger.server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish(self, job_id: str, request: GenerateRequest) -> None:
        # Not `send_task`: that subscribes this process to every result, also to those that nobody waits for.
        message = self._app.amqp.as_task_v2(
            job_id,
            GENERATE_TASK,
            args=(),
            kwargs={"request": request.model_dump(mode="json", exclude_defaults=True)},
            argsrepr="",
            kwargsrepr=describe(request),
            ignore_result=False,
        )
        try:
            with self._app.producer_or_acquire() as producer:
                self._app.amqp.send_task_message(
                    producer, GENERATE_TASK, message, queue=SUBMIT_QUEUE, retry_policy=_PUBLISH
                )
        except (OperationalError, RuntimeError, OSError):
            return  # the record stands: the sweeper sends the message that could not be sent here

    def _checked(self, request: GenerateRequest | Mapping[str, Any]) -> GenerateRequest:
        if isinstance(request, GenerateRequest):
            request = request.model_dump(mode="json", exclude_defaults=True)
        inputs = {name: self._input(name, value) for name, value in dict(request.get("inputs") or {}).items()}
        return GenerateRequest.parse({**request, "inputs": inputs} if inputs else dict(request))

    def _input(self, name: str, value: object) -> object:
        """Bytes and files as base64 or, where they are large, uploaded; text as it is, unless it is a large picture."""
        content = value.read_bytes() if isinstance(value, Path) else value
        if isinstance(content, str):
            if len(content) <= UPLOAD_ABOVE_BYTES or content.startswith(("s3:", "http:", "https:")):
                return content
            content = _decoded(name, content)
        if not isinstance(content, bytes):
            return content
        if len(content) > UPLOAD_ABOVE_BYTES and self._uploads is not None:
            key = f"uploads/{hashlib.sha256(content).hexdigest()}"  # the same picture again is the same request
            self._uploads.put(key, content, content_type="application/octet-stream")
            return self._uploads.uri(key)
        if len(content) > MAX_REQUEST_BYTES:
            raise InvalidRequestError(
                f"inputs.{name}: {len(content)} bytes are too many for a message; give the client `uploads` "
                "(a bide.storage.Storage), or upload the picture and pass its s3:// or https:// address"
            )
        return base64.b64encode(content).decode()


def _decoded(name: str, text: str) -> bytes:
    data = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except ValueError:
        raise InvalidRequestError(f"inputs.{name}: is neither an address nor base64") from None


def _app(broker_url: str, result_url: str) -> Celery:
    app = Celery("bide-client", broker=broker_url, backend=result_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_create_missing_queues=True,  # the names are fixed; this app only publishes
        broker_transport_options={"socket_connect_timeout": 3, "visibility_timeout": 300},
        result_backend_transport_options={"retry_policy": _PUBLISH},
        result_backend_always_retry=True,  # a restart of Redis does not end a wait
        result_backend_max_retries=10,
        redis_socket_connect_timeout=3,
        task_publish_retry_policy=_PUBLISH,
    )
    return app


def _status(record: Record, job_id: str) -> Status:
    error = record.text("error")
    return Status(
        job_id=job_id,
        state=record.state,
        provider=record.account.provider,
        operation=record.text("op"),
        provider_job_id=record.text("pid") or None,
        polls=int(record.number("polls")),
        created_at=record.moment("created"),
        deadline_at=record.moment("deadline"),
        note=record.text("note"),
        failure=Failure.model_validate_json(error) if error else None,
    )
