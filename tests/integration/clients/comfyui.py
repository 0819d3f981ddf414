"""comfy-api-simplified, unmodified, against a ComfyUI: what it got, as JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from comfy_api_simplified import ComfyApiWrapper
from comfy_api_simplified.exceptions import ComfyApiError

TITLE = "Save Image"


def graph(text: str, kind: str = "SaveImage") -> dict[str, Any]:
    """A graph in the API format, with titles as the client wants them."""
    return {
        "3": {"class_type": "KSampler", "inputs": {"text": text}, "_meta": {"title": "KSampler"}},
        "9": {"class_type": kind, "inputs": {"images": ["3", 0]}, "_meta": {"title": TITLE}},
    }


def main(base_url: str) -> None:
    """Submit, wait and download by its events; fail; cancel."""
    api = ComfyApiWrapper(base_url)
    images = api.queue_and_wait_images(graph("a red fox"), TITLE)
    films = api.queue_and_wait_images(graph("a red fox", "VHS_VideoCombine"), TITLE)
    pending = api.queue_prompt(graph("[fault:never_starts]"))["prompt_id"]
    running = api.queue_prompt(graph("[fault:never_finishes]"))["prompt_id"]
    until_it_runs(api, running)
    before = api.get_queue_size_before(pending)
    api.interrupt()
    found = {
        "images": [[name.rpartition(".")[2], content[1:4].decode()] for name, content in images.items()],
        "films": [[name.rpartition(".")[2], content[4:8].decode()] for name, content in films.items()],
        "before": before,
        "interrupted": api.get_history(running)[running]["status"]["messages"][-1][0],
        "failed": raised(lambda: api.queue_and_wait_images(graph("[fault:fail:no_memory]"), TITLE)),
        "refused": raised(lambda: api.queue_prompt(graph("no-such.safetensors"))),
    }
    sys.stdout.write(json.dumps(found))


def until_it_runs(api: ComfyApiWrapper, prompt_id: str) -> None:
    """Wait until a run has left the queue; the program is ended from outside where it never does."""
    while prompt_id not in [item[1] for item in api.get_queue()["queue_running"]]:
        time.sleep(0.02)


def raised(ask: Any) -> str:
    """What the client's own error says."""
    try:
        ask()
    except ComfyApiError as error:
        return str(error)
    return "nothing"


if __name__ == "__main__":
    main(sys.argv[1])
