"""A deployment as the pages show it: jobs of each kind, a finished run, and an unconfirmed submit with its evidence."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser.chromium import Page
from tests.integration.caller import PIXEL, Caller, failure, image, succeeded
from tests.integration.rig import FLOWER_PASSWORD, FLOWER_USER, Rig
from tests.integration.waiting import eventually

RUN = "winter-catalogue"

#: What the jobs are about.
PROMPTS = (
    "a red fox in the snow, soft morning light, 35 mm",
    "a lighthouse in a storm, oil on canvas",
    "a city at night, seen from above",
    "product photo of a green tea tin, white background",
    "a cabin under northern lights",
)

HOSTILE = "\"><script>document.title = 'taken'</script> ' & <b>bold</b>"


class PagesRig(Rig):
    """As its base, with prices."""

    def environment(self) -> dict[str, str]:
        prices = {"BIDE_PROVIDERS__PHOTOGPT__PRICES": '{"images.generation": 0.02}'}
        return {**super().environment(), **prices}


@dataclass(frozen=True)
class Filled:
    """What was made: ids of jobs by what they are."""

    finished: str
    pair: str
    failed: str
    waiting: str
    unconfirmed: str


def fill(rig: Rig, caller: Caller, folder: Path) -> Filled:
    """Jobs of all kinds, a run of six rows, and a paused account."""
    rig.sandbox.order(
        [
            {"fault": "never_finishes", "match": "harbour"},
            {"fault": "fail", "match": "crowd"},
            {"fault": "accept_then_drop", "match": "tea house", "times": 1},
        ]
    )
    hostile = caller.submit(image(HOSTILE))
    results = [caller.submit(_for(prompt, number)) for number, prompt in enumerate(PROMPTS)]
    pair = caller.submit(image("two mountains, woodcut", params={"numImages": 2}, metadata={"tenant": "acme"}))
    dress: dict[str, Any] = image("", provider="nextry", operation="generate_image", account="main")
    dress |= {"params": {"tool": "fashion_swap", "prompt": "a linen dress"}, "inputs": _pictures()}
    for result in [hostile, *results, pair, caller.submit(dress)]:
        succeeded(result)
    failed = caller.submit(image("a crowd of a thousand people", metadata={"tenant": "acme"}))
    failure(failed)
    doubt = caller.submit(image("a tea house by a lake", metadata={"tenant": "acme", "order": "A-1041"}))
    assert failure(doubt)["code"] == "submission_unknown"
    failure(caller.submit(image("nothing", account="refused")))
    waiting = caller.submit(image("a harbour at dawn, long exposure"))
    eventually(lambda: rig.state(waiting.id) == "running", what="the provider works on it")
    _run(rig, folder)
    return Filled(str(results[0].id), str(pair.id), str(failed.id), str(waiting.id), str(doubt.id))


def _for(prompt: str, number: int) -> dict[str, Any]:
    return image(prompt, metadata={"tenant": ("acme", "globex")[number % 2], "order": f"A-10{number}"})


def _pictures() -> dict[str, str]:
    return {"clothes": PIXEL, "person": PIXEL}


def _run(rig: Rig, folder: Path) -> None:
    """A bulk run, from its file to its contact sheet, as the command does it."""
    file = folder / "rows.jsonl"
    rows = [image(f"a valley in winter, {style}", metadata={"sku": f"W-{at}"}) for at, style in enumerate(STYLES)]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    command = ["bide", "bulk", "run", file.name, "--run-id", RUN, "--sheet-metadata", "sku", "--budget", "1", "--wait"]
    subprocess.run(command, env=rig.environment(), cwd=folder, capture_output=True, check=True, timeout=120)


STYLES = ("woodcut", "watercolour", "oil on canvas", "postage stamp", "35 mm", "linocut")


class Visitor:
    """An operator who is logged in, before one deployment's pages."""

    def __init__(self, tab: Page, address: str) -> None:
        self.tab, self.address = tab, address
        tab.open(address.replace("//", f"//{FLOWER_USER}:{FLOWER_PASSWORD}@", 1))
        assert tab.status == 200

    def look(self, path: str, **window: Any) -> None:
        """Open a page, and wait until all pictures that are in the window have come."""
        self.tab.open(f"{self.address}{path}", **window)
        near = "it.getBoundingClientRect().top < innerHeight && !it.classList.contains('missing')"
        drawn = f"[...document.images].filter(it => {near}).every(it => it.complete)"
        eventually(lambda: self.tab.evaluate(drawn), what=f"the pictures of {path} are drawn")

    def text(self) -> str:
        """All words that can be seen."""
        return str(self.tab.evaluate("document.body?.innerText ?? ''"))
