"""The client's way to the broker and to the results: a Celery app that only sends and reads."""

from __future__ import annotations

import json
import ssl
import sys
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.states import READY_STATES, SUCCESS
from kombu.exceptions import OperationalError

from bide.contract import BULK_TASK, CANCEL_TASK, CONTROL_QUEUE, GENERATE_TASK, SUBMIT_QUEUE, GenerateRequest, JobResult
from bide.describe import describe
from bide.redis_client import for_kombu

#: How a client publishes: fails within a second when the broker is away, instead of blocking.
PUBLISH = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}

#: Servers are near: one that does not take a connection within this is away [seconds].
CONNECT_SECONDS = 3

#: What publishing raises where the broker is away; kombu an AttributeError where its connection is closed under it.
NOT_SENT = (OperationalError, RuntimeError, OSError, AttributeError)


class Post:
    """Sends messages to a bide and reads what came of them."""

    def __init__(self, broker_url: str, result_url: str, *, sentinel_master: str) -> None:
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

    def submit(self, job_id: str, request: GenerateRequest) -> None:
        """Send a job's first message, or leave it to the sweeper where that can't be done: its record stands."""
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
                    producer,
                    GENERATE_TASK,
                    message,
                    queue=SUBMIT_QUEUE,
                    headers=trace_headers(),
                    retry_policy=PUBLISH,
                )
        except NOT_SENT:
            return

    def cancel(self, job_id: str) -> None:
        """Send a cancel; raises `kombu.exceptions.OperationalError` when the broker is away."""
        self._app.send_task(CANCEL_TASK, kwargs={"job_id": job_id}, queue=CONTROL_QUEUE, ignore_result=True)

    def feed_run(self, run_id: str) -> None:
        """Have a bulk run looked at now, or by the sweeper where the message can't be sent."""
        with suppress(*NOT_SENT):
            self._app.send_task(BULK_TASK, kwargs={"run": run_id}, queue=CONTROL_QUEUE, ignore_result=True)

    def result(self, job_id: str) -> JobResult | None:
        """What a job came to, None before its end; raises `JobFailed` for a bad one."""
        return _outcome(self._app.backend.get_task_meta(job_id))

    def key(self, job_id: str) -> str:
        """Where Celery keeps the result of a job."""
        backend: Any = self._app.backend
        key = backend.get_key_for_task(job_id)
        return key.decode() if isinstance(key, bytes) else str(key)

    def read(self, kept: bytes | str) -> JobResult | None:
        """As `result`, from what stands at `key`."""
        backend: Any = self._app.backend
        return _outcome(backend.decode_result(kept))

    def close(self) -> None:
        """Give the connections back."""
        self._app.close()


def trace_headers() -> dict[str, str]:
    """The trace that the caller is in, as W3C headers; none where it is in none. Imports nothing that it has not."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - optional, as said
        TraceContextTextMapPropagator,
    )

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers


def signature_of(request: GenerateRequest) -> str:
    """What the ledger keeps of a message that the client sends, '' for nothing: steps that others start know it, too.

    Without a trace there is nothing that the message itself does not bring.
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
    """What depends on the addresses. Certificates are checked: kombu would not, and Celery refuses to guess."""
    checked = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return {
        "broker_transport_options": {"socket_connect_timeout": CONNECT_SECONDS, "visibility_timeout": 300}
        | (sentinel if broker_url.startswith("sentinel:") else {}),
        "result_backend_transport_options": {"retry_policy": PUBLISH}
        | (sentinel if result_url.startswith("sentinel:") else {}),
        "broker_use_ssl": checked if broker_url.startswith(("rediss:", "amqps:")) else None,
        "redis_backend_use_ssl": checked if result_url.startswith("rediss:") else None,
    }
