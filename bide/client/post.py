"""The client's way to broker and results: a Celery app that only sends messages and reads results."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.states import PENDING, READY_STATES, SUCCESS
from kombu.exceptions import OperationalError

from bide.contract import BULK_TASK, CANCEL_TASK, CONTROL_QUEUE, GENERATE_TASK, SUBMIT_QUEUE, GenerateRequest, JobResult
from bide.describe import describe
from bide.redis_address import check_address
from bide.redis_client import close, for_kombu

#: How a client publishes: it fails within a second where the broker is away, instead of blocking.
PUBLISH = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}

#: A server that does not take a connection within this is away, since servers are near [seconds].
CONNECT_SECONDS = 3

#: The errors of publishing where the broker is away; kombu raises an AttributeError for a connection closed under it.
NOT_SENT = (OperationalError, RuntimeError, OSError, AttributeError)


class Post:
    """Sends a caller's messages to a bide, and reads the results of its jobs."""

    def __init__(self, broker_url: str, result_url: str, *, sentinel_master: str) -> None:
        for url in (broker_url, result_url):
            check_address(url)
        self._app = Celery(
            "bide-client", broker=for_kombu(broker_url), backend=for_kombu(result_url), set_as_current=False
        )
        self._app.conf.update(
            _options(broker_url, result_url, {"master_name": sentinel_master}),
            task_serializer="json",
            accept_content=["json"],
            task_create_missing_queues=True,  # the names are fixed; this app only publishes
            result_backend_always_retry=True,  # a restart of Redis does not end a wait
            result_backend_max_retries=10,
            redis_socket_connect_timeout=CONNECT_SECONDS,
            task_publish_retry_policy=PUBLISH,
        )
        self._backend: Any = self._app.backend  # made now: threads that reach for it together would make one each

    def submit_many(self, jobs: Sequence[tuple[str, GenerateRequest]]) -> None:
        """Send the first message of jobs; where that fails the sweeper sends one, since their records are written."""
        if not jobs:
            return
        headers = trace_headers()
        with suppress(*NOT_SENT), self._app.producer_or_acquire() as producer:
            for job_id, request in jobs:
                self._app.amqp.send_task_message(
                    producer,
                    GENERATE_TASK,
                    self._message(job_id, request),
                    queue=SUBMIT_QUEUE,
                    headers=headers,
                    retry_policy=PUBLISH,
                )

    def _message(self, job_id: str, request: GenerateRequest) -> Any:
        # Not `send_task`: that subscribes this process to every result, also to those that no caller waits for.
        return self._app.amqp.as_task_v2(
            job_id,
            GENERATE_TASK,
            args=(),
            kwargs={"request": request.model_dump(mode="json", exclude_defaults=True)},
            argsrepr="",
            kwargsrepr=describe(request),
            ignore_result=False,
        )

    def cancel(self, job_id: str) -> None:
        """Send a cancel; raises `kombu.exceptions.OperationalError` where the broker is away."""
        self._app.send_task(CANCEL_TASK, kwargs={"job_id": job_id}, queue=CONTROL_QUEUE, ignore_result=True)

    def feed_run(self, run_id: str) -> None:
        """Have the feeder take up a bulk run now; where the message can't be sent, the sweeper sends one later."""
        with suppress(*NOT_SENT):
            self._app.send_task(BULK_TASK, kwargs={"run": run_id}, queue=CONTROL_QUEUE, ignore_result=True)

    def result(self, job_id: str) -> JobResult | None:
        """A job's result; None before its end. Raises `JobFailed` for a bad end."""
        return _outcome(self._backend.get_task_meta(job_id))

    def has_state(self, job_id: str) -> bool:
        """Whether Celery has a state of a job: its end, or RETRY after its first step."""
        return bool(self._backend.get_task_meta(job_id)["status"] != PENDING)

    def key(self, job_id: str) -> str:
        """The key under which Celery keeps the result of a job."""
        key = self._backend.get_key_for_task(job_id)
        return key.decode() if isinstance(key, bytes) else str(key)

    def read(self, content: bytes | str) -> JobResult | None:
        """A job's result out of the content of its `key`; None before its end. Raises `JobFailed` for a bad end."""
        return _outcome(self._backend.decode_result(content))

    def close(self) -> None:
        """Give the connections back, those of the result backend too: Celery leaves them to the garbage collector."""
        self._app.close()
        client = vars(self._backend).get("client")
        if client is not None:
            close(client)
            client.connection_pool.disconnect()


def trace_headers() -> dict[str, str]:
    """The caller's trace as W3C headers; none where there is no trace. OpenTelemetry is not imported for it."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - an optional package
        TraceContextTextMapPropagator,
    )

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers


def signature_of(request: GenerateRequest) -> str:
    """The part of a client's message that the ledger keeps, so that steps which others start know the trace, too.

    '' without a trace: then the message itself brings all that a step needs.
    """
    headers = trace_headers()
    return json.dumps({"kwargsrepr": describe(request), "headers": headers}) if headers else ""


def _outcome(meta: Any) -> JobResult | None:
    if meta["status"] not in READY_STATES:
        return None
    if meta["status"] != SUCCESS:
        raise meta["result"]
    return JobResult.model_validate_json(json.dumps(meta["result"]))


def _options(broker_url: str, result_url: str, sentinel: dict[str, str]) -> dict[str, Any]:
    """The options that depend on the addresses. Certificates are checked: kombu would not, Celery wants a choice."""
    checked = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return {
        "broker_transport_options": {"socket_connect_timeout": CONNECT_SECONDS, "visibility_timeout": 300}
        | (sentinel if broker_url.startswith("sentinel:") else {}),
        "result_backend_transport_options": {"retry_policy": PUBLISH}
        | (sentinel if result_url.startswith("sentinel:") else {}),
        "broker_use_ssl": checked if broker_url.startswith(("rediss:", "amqps:")) else None,
        "redis_backend_use_ssl": checked if result_url.startswith("rediss:") else None,
    }
