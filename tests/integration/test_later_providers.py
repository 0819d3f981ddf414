"""ComfyUI, Black Forest Labs and the `/v1/videos` form, with real processes: made, failed, canceled."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from celery.result import AsyncResult

from tests.integration.caller import Caller, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

MARK = marker()


def comfyui(text: str) -> dict[str, Any]:
    """A graph that saves a picture and a film."""
    nodes: dict[str, Any] = {"3": {"class_type": "KSampler", "inputs": {"text": f"{MARK} {text}"}}}
    for number, kind in ((9, "SaveImage"), (10, "VHS_VideoCombine")):
        nodes[str(number)] = {"class_type": kind, "inputs": {"images": ["3", 0]}}
    return {"provider": "comfyui", "operation": "prompt", "params": {"prompt": nodes}}


def bfl(text: str) -> dict[str, Any]:
    """A picture by a model that has an operation of its own."""
    params = {"prompt": f"{MARK} {text}", "width": 512, "height": 512, "output_format": "png"}
    return {"provider": "bfl", "operation": "flux-2-pro", "params": params}


def videos(text: str) -> dict[str, Any]:
    """A video; gateways also have it at an address that wants no key."""
    params = {"prompt": f"{MARK} [fault:gateway_words] {text}", "model": "sora-2", "seconds": "8"}
    return {"provider": "openai_videos", "operation": "create", "params": params}


REQUESTS = {
    "comfyui": comfyui("made"),
    "comfyui, an older server": comfyui("older [fault:older_server]"),
    "bfl": bfl("made"),
    "bfl, any model": {**bfl("any"), "operation": "generate"},
    "openai_videos": videos("made"),
}
REQUESTS["bfl, any model"]["params"]["model"] = "flux-9-new"

TYPES = {
    "comfyui": ["image/png", "video/mp4"],
    "comfyui, an older server": ["image/png", "video/mp4"],
    "bfl": ["image/png"],
    "bfl, any model": ["image/png"],
    "openai_videos": ["video/mp4"],
}

FAILING = {
    "comfyui": (comfyui("[fault:fail:no_memory]"), "generation_failed", "no_memory"),
    "bfl": (bfl("[fault:moderated]"), "moderated", "content moderated"),
    "openai_videos": (videos("[fault:interrupted]"), "generation_failed", "cancelled"),
}


@pytest.fixture(scope="module")
def submitted(caller: Caller) -> dict[str, AsyncResult[Any]]:
    """All of them at once."""
    failing = {f"{name} fails": caller.submit(request) for name, (request, _, _) in FAILING.items()}
    return {name: caller.submit(request) for name, request in REQUESTS.items()} | failing


@pytest.mark.parametrize("name", REQUESTS)
def test_the_result_is_stored(name: str, submitted: dict[str, AsyncResult[Any]], rig: Rig) -> None:
    """Each output, bought once."""
    result = succeeded(submitted[name])
    assert [output["content_type"] for output in result["outputs"]] == TYPES[name]
    for output in result["outputs"]:
        content, _ = rig.store.read(output["key"])
        assert len(content) == output["size"]
    assert len([it for it in rig.sandbox.purchases() if it["id"] == result["provider_job_id"]]) == 1


@pytest.mark.parametrize("name", FAILING)
def test_a_failure_says_why(name: str, submitted: dict[str, AsyncResult[Any]]) -> None:
    """In the provider's words, with the code that they mean."""
    _, code, words = FAILING[name]
    error = submitted[f"{name} fails"].get(timeout=PATIENCE_SECONDS, propagate=False)
    failed = json.loads(str(error))
    assert (failed["code"], words in failed["message"]) == (code, True)


@pytest.mark.parametrize("fault", ["never_starts", "never_finishes", "never_finishes] [fault:older_server"])
def test_a_cancel_reaches_comfyui(fault: str, caller: Caller, rig: Rig) -> None:
    """What is in its queue is taken out, what runs is interrupted, by either kind of calls."""
    marked = marker()
    result = caller.submit(comfyui(f"{marked} [fault:{fault}]"))
    [purchase] = eventually(lambda: rig.purchases(marked), what="it is bought")
    eventually(lambda: purchase["id"] in queue(rig)[fault != "never_starts"], what="it is where it stays")
    caller.app.send_task("bide.cancel", args=[result.id], queue="bide.control", ignore_result=True)
    failed = json.loads(str(result.get(timeout=PATIENCE_SECONDS, propagate=False)))
    assert (failed["code"], failed["provider_job_id"]) == ("canceled", purchase["id"])
    assert not any(purchase["id"] in ids for ids in queue(rig))


def queue(rig: Rig) -> tuple[list[str], list[str]]:
    """The ids of what is pending and of what runs there."""
    answer = httpx.get(f"{rig.sandbox.url('comfyui')}/queue", timeout=20).json()
    pending, running = ([item[1] for item in answer[f"queue_{word}"]] for word in ("pending", "running"))
    return pending, running
