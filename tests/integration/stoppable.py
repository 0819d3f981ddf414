"""A provider whose jobs can be stopped, with an adapter as other packages bring one, and a deployment that has it.

What its prompts say decides how a job ends: see `Studio`.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bide.params.base import Params
from bide.providers import reading
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Canceled,
    Cancels,
    Operation,
    PollOutcome,
    Progress,
    Provider,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Ticket,
)
from tests import plugins
from tests.integration.caller import PIXEL
from tests.integration.processes import ROOT
from tests.integration.rig import Rig
from tests.web_server import Reply, Request, WebServer, as_json


class DrawParams(Params):
    """What is drawn."""

    prompt: str


class StoppableAdapter(Cancels, Provider):
    """Draws until it is done or stopped."""

    name = "stoppable"
    default_base_url = None
    operations: ClassVar[Mapping[str, Operation]] = {"draw": Operation(params=DrawParams)}

    def submit_call(self, submission: Submission, account: Account) -> Call:
        return Call("POST", account.url("/jobs"), headers=account.bearer, json=dict(submission.params))

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        return Submitted(reading.as_id(answer.object().get("id")))

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        return Call("GET", account.url(f"/jobs/{ticket.provider_job_id}"), headers=account.bearer)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        body = answer.object()
        if body["state"] == "done":
            return Succeeded(reading.all_media([body["picture"]], role="image"))
        return Running(body["state"], progress=Progress(fraction=body["fraction"]))

    def cancel_call(self, ticket: Ticket, account: Account) -> Call:
        return Call("PUT", account.url(f"/jobs/{ticket.provider_job_id}/cancel"), headers=account.bearer)

    def read_cancel(self, answer: Answer, ticket: Ticket, account: Account) -> Canceled:
        return Canceled(answer.object()["canceled"])


class Studio(WebServer):
    """The provider: jobs draw for ever until they are canceled. Where a prompt says `stubborn`, one is done then."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.prompts: dict[str, str] = {}
        self.cancels: Counter[str] = Counter()
        self.address = f"127.0.0.1:{self.port}"

    def bought(self, marked: str) -> list[str]:
        """The prompts of all submits that hold a marker."""
        return [prompt for prompt in self.prompts.values() if marked in prompt]

    def _answer(self, request: Request) -> Reply:
        if request.target.startswith("/pictures/"):
            return 200, {"Content-Type": "image/png"}, b64decode(PIXEL)
        return as_json(self._value(request))

    def _value(self, request: Request) -> Any:
        if request.method == "POST":
            number = str(len(self.prompts) + 1)
            self.prompts[number] = request.json()["prompt"]
            return {"id": number}
        number = request.target.split("/")[2]
        stubborn = "stubborn" in self.prompts[number]
        if request.method == "PUT":
            self.cancels[self.prompts[number]] += 1
            return {"canceled": "requested" if stubborn else "stopped"}
        if stubborn and self.cancels[self.prompts[number]]:
            return {"state": "done", "picture": f"{self.url}/pictures/{number}.png"}
        return {"state": "drawing", "fraction": 0.5}


class StoppableRig(Rig):
    """A deployment in which the adapter is installed by its entry point, as that of another package."""

    def __init__(self, folder: Path, studio: Studio) -> None:
        super().__init__(folder, result_bytes=20_000)
        self._studio = studio
        self._site = folder / "site"
        plugins.install(self._site, "stoppable", f"{__name__}:{StoppableAdapter.__name__}")

    def environment(self) -> dict[str, str]:
        own = {
            "API_KEY": "key-of-stoppable",
            "BASE_URL": f"http://{self._studio.address}",
            "MEDIA_HOSTS": json.dumps([self._studio.address]),
            "POLL_FIRST_SECONDS": "0.5",
            "POLL_CAP_SECONDS": "2",
        }
        settings = {f"BIDE_PROVIDERS__STOPPABLE__{name}": value for name, value in own.items()}
        return {**super().environment(), **settings, "PYTHONPATH": f"{self._site}:{ROOT}"}
