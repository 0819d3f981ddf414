"""A service that knows nothing of bide but the wire: a plain Celery app, its requests and its results."""

from __future__ import annotations

import json
import uuid
from types import TracebackType
from typing import Any, Self

from celery import Celery
from celery.canvas import Signature
from celery.result import AsyncResult

from tests.integration.waiting import PATIENCE_SECONDS

#: A picture of one pixel, as base64.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Caller:
    """Sends tasks by name and waits for results."""

    def __init__(self, url: str, *, app: Celery | None = None) -> None:
        self.app = app or Celery("caller", broker=url, backend=url, set_as_current=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        backend: Any = self.app.backend
        backend.result_consumer.stop()
        backend.result_consumer._pubsub = None  # else each result still held connects once more when it is collected
        backend.client.close()
        self.app.close()

    def submit(self, request: Any, **options: Any) -> AsyncResult[Any]:
        """Enqueue a request as a keyword."""
        return self.app.send_task("bide.generate", kwargs={"request": request}, queue="bide.submit", **options)

    def signature(self, request: Any, **options: Any) -> Signature[Any]:
        """A request as a signature, for groups, chords and chains."""
        return self.app.signature("bide.generate", kwargs={"request": request}, queue="bide.submit", **options)

    def result_of(self, job_id: str) -> AsyncResult[Any]:
        return AsyncResult(job_id, app=self.app)


def image(prompt: str = "a red fox", **more: Any) -> dict[str, Any]:
    """A request for one picture; `params` may be added to, all else replaces."""
    params = {"modelID": "m1", "prompt": prompt, "numImages": 1, **more.pop("params", {})}
    return {"provider": "photogpt", "operation": "images.generation", "params": params, **more}


def marker() -> str:
    """A word that no other test's prompts have: by it purchases are counted."""
    return f"fox-{uuid.uuid4().hex[:12]}"


def succeeded(result: AsyncResult[Any], *, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """The result of a job that must succeed."""
    outcome: dict[str, Any] = result.get(timeout=seconds)
    assert outcome["state"] == "succeeded"
    return outcome


def failure(result: AsyncResult[Any], *, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """What the message of a job that must fail says: JSON with the documented fields, and no others."""
    error = result.get(timeout=seconds, propagate=False)
    assert result.state == "FAILURE", f"{result.state}: {error}"
    assert type(error).__name__ == "JobFailed", repr(error)
    outcome: dict[str, Any] = json.loads(str(error))
    assert outcome.keys() == {"code", "message", "job_id", "provider", "provider_job_id", "retryable"}
    return outcome
