"""A session with fal's own client, unmodified, which the environment points at the sandbox; prints JSON."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fal_client
import httpx

MODEL = "fal-ai/flux/dev"

#: What may befall a request, by the faults of the sandbox.
FAULTS = ("fail", "moderated", "aborted", "failure_in_result", "result_expired", "expired", "back_to_queue")


def awaited(prompt: str, model: str = MODEL, **more: Any) -> dict[str, Any]:
    """A request from submit to end: the statuses that the client saw, and what it gave or raised."""
    handle = fal_client.submit(model, {"prompt": prompt, **more})
    seen: list[fal_client.Status] = []
    try:
        seen += handle.iter_events(with_logs=True, interval=0.02)
        came: dict[str, Any] = {"result": handle.get()}
    except fal_client.FalClientHTTPError as error:
        came = {"code": error.status_code, "type": error.error_type, "says": str(error.message)}
    ends = [
        {"error": status.error, "type": status.error_type}
        for status in seen
        if isinstance(status, fal_client.Completed)
    ]
    return {**came, "seen": [type(status).__name__ for status in seen], "completed": ends, "id": handle.request_id}


def canceled(prompt: str) -> dict[str, Any]:
    """A request that is canceled at once; what the cancel raised, and how the request stands then."""
    handle = fal_client.submit(MODEL, {"prompt": prompt})
    try:
        handle.cancel()
        refused = None
    except fal_client.FalClientHTTPError as error:
        refused = error.status_code
    status = handle.status()
    return {"refused": refused, "now": type(status).__name__, "type": getattr(status, "error_type", None)}


def found_again() -> dict[str, Any]:
    """A request that is asked about by model and id alone, and canceled once it has ended."""
    handle = fal_client.submit(MODEL, {"prompt": "a red fox"})
    while not isinstance(fal_client.status(MODEL, handle.request_id), fal_client.Completed):
        time.sleep(0.02)
    picture = fal_client.result(MODEL, handle.request_id)["images"][0]
    try:
        fal_client.cancel(MODEL, handle.request_id)
        too_late = None
    except fal_client.FalClientHTTPError as error:
        too_late = error.status_code
    return {"file": httpx.get(picture["url"]).content[:4].hex(), "type": picture["content_type"], "too_late": too_late}


def unknown() -> int | None:
    """The code for a request that nobody made."""
    try:
        fal_client.status(MODEL, "nobody")
    except fal_client.FalClientHTTPError as error:
        return error.status_code
    return None


def refused(model: str) -> int | None:
    """The code for a model that there is not."""
    try:
        fal_client.submit(model, {})
    except fal_client.FalClientHTTPError as error:
        return error.status_code
    return None


def main() -> None:
    """All of it, side by side where it takes time."""
    with ThreadPoolExecutor(12) as threads:
        waits = {fault: threads.submit(awaited, f"a red fox [fault:{fault}]") for fault in FAULTS}
        waits["pictures"] = threads.submit(awaited, "a red fox", num_images=2)
        waits["video"] = threads.submit(awaited, "a red fox", "fal-ai/some-video/pro")
        waits["bad input"] = threads.submit(awaited, 7)  # type: ignore[arg-type]  # what the model refuses
        waits["canceled"] = threads.submit(canceled, "a red fox [fault:never_finishes]")
        waits["cancel ignored"] = threads.submit(canceled, "a red fox [fault:never_finishes] [fault:cancel_ignored]")
        waits["cancel too late"] = threads.submit(canceled, "a red fox [fault:never_finishes] [fault:cancel_too_late]")
        waits["found again"] = threads.submit(found_again)
        came = {name: wait.result() for name, wait in waits.items()}
    json.dump({**came, "unknown": unknown(), "refused": refused("no-such/model")}, sys.stdout)


if __name__ == "__main__":
    main()
