"""`python -m tests.browser.screenshots`: takes the pictures of docs/flower.md anew, of a real deployment."""

from __future__ import annotations

import io
import tempfile
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from tests.browser.chromium import browser
from tests.browser.operator import Operator
from tests.browser.stage import FlowerRig
from tests.integration.caller import PIXEL, Caller, failure, image, succeeded
from tests.integration.processes import ROOT
from tests.integration.waiting import eventually

FOLDER = ROOT / "docs" / "images"

#: Of a picture: enough for a page of words.
COLOURS = 64

#: Of a window on a laptop [pixels].
WIDTH = 1400

#: What the pages show, besides jobs that end badly.
PROMPTS = (
    "a red fox in the snow, soft morning light, 35 mm",
    "a lighthouse in a storm, oil on canvas",
    "a city at night, seen from above",
    "product photo of a green tea tin, white background",
    "a cabin under northern lights",
    "a garden after the rain, watercolour",
)


def main() -> None:
    """Start everything, let some jobs run, look at each page."""
    with ExitStack() as stack:
        rig = stack.enter_context(FlowerRig(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bide-")))))
        caller = stack.enter_context(Caller(rig.redis.url))
        operator = Operator(stack.enter_context(browser()), rig.address)
        assert operator.log_in() == 200
        eventually(lambda: len(operator.rows("#workers-table")) == 2, what="Flower sees both workers")
        waiting, refused, doubtful = _submit(rig, caller)
        for job, state in ((waiting, "RETRY"), (refused, "FAILURE"), (doubtful, "FAILURE")):
            operator.sees_task(job, {"Status": state})
        _take(operator, "dashboard", "/", height=620)
        _take(operator, "tasks", "/tasks", height=1060)
        _take(operator, "tasks-phone", "/tasks", width=360, height=1060)
        _take(operator, "task", f"/task/{waiting}", height=930)
        _take(operator, "task-phone", f"/task/{waiting}", width=360, height=1060)
        _take(operator, "failed", f"/task/{refused}", height=700)
        _take(operator, "unconfirmed", f"/task/{doubtful}", height=760)
        _take(operator, "queues", "/broker", height=480)
        operator.look(_worker(operator), width=WIDTH, height=620)
        operator.turn_to("queues")
        _keep(operator, "worker")


def _submit(rig: FlowerRig, caller: Caller) -> tuple[str, str, str]:
    """Jobs of all kinds, most of them finished; one that waits, one that failed, one that may have been bought."""
    rig.sandbox.order(
        [
            {"fault": "never_finishes", "match": "harbour"},
            {"fault": "fail", "match": "crowd"},
            {"fault": "accept_then_drop", "match": "tea house", "times": 1},
        ]
    )
    for result in [caller.submit(image(prompt)) for prompt in PROMPTS]:
        succeeded(result)
    pictures = {"clothes": PIXEL, "person": PIXEL}
    dress = image("a linen dress", provider="nextry", operation="generate_image", account="main", inputs=pictures)
    succeeded(caller.submit(dress | {"params": {"tool": "fashion_swap", "prompt": "a linen dress"}}))
    failure(caller.submit(image("a crowd of a thousand people")))
    refused = caller.submit(image("a winter forest", params={"modelID": ""}))
    failure(refused)
    doubtful = caller.submit(image("a tea house by a lake", metadata={"tenant": "acme", "order": "A-1041"}))
    failure(doubtful)
    for prompt in ("a harbour at dawn, long exposure", "a harbour at noon"):
        waiting = caller.submit(image(prompt, metadata={"tenant": "acme", "order": "A-1042"}))
    eventually(lambda: rig.state(waiting.id) == "running", what="the provider works on it")
    return waiting.id, refused.id, doubtful.id


def _worker(operator: Operator) -> str:
    operator.look("/")
    return str(operator.tab.evaluate("document.querySelector('.worker-name-link[title^=worker]').pathname"))


def _take(operator: Operator, name: str, path: str, *, height: int, width: int = WIDTH) -> None:
    operator.look(path, width=width, height=height)
    _keep(operator, name)


def _keep(operator: Operator, name: str) -> None:
    """What is seen now, in few colours."""
    seen = Image.open(io.BytesIO(operator.tab.picture())).convert("RGB")
    path = FOLDER / f"flower-{name}.png"
    seen.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
