"""A provider whose jobs can be stopped, with an adapter as other packages bring one, and a deployment that has it.

What its prompts say decides how a job ends: see `Studio`.
"""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

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
from tests.integration.caller import PIXEL
from tests.integration.processes import ROOT
from tests.integration.rig import Rig


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


class Studio:
    """The provider: jobs draw for ever until they are canceled. Where a prompt says `stubborn`, one is done then."""

    def __init__(self) -> None:
        self.prompts: dict[str, str] = {}
        self.cancels: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bought(self, marked: str) -> list[str]:
        """The prompts of all submits that hold a marker."""
        return [prompt for prompt in self.prompts.values() if marked in prompt]

    def answer(self, method: str, path: str, body: Any) -> Any:
        """JSON for one request."""
        if method == "POST":
            number = str(len(self.prompts) + 1)
            self.prompts[number] = body["prompt"]
            return {"id": number}
        number = path.split("/")[2]
        stubborn = "stubborn" in self.prompts[number]
        if method == "PUT":
            self.cancels[self.prompts[number]] += 1
            return {"canceled": "requested" if stubborn else "stopped"}
        if stubborn and self.cancels[self.prompts[number]]:
            return {"state": "done", "picture": f"http://{self.address}/pictures/{number}.png"}
        return {"state": "drawing", "fraction": 0.5}


def _handler(studio: Studio) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/pictures/"):
                self._send("image/png", b64decode(PIXEL))
            else:
                self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Nothing to the terminal."""

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            answer = studio.answer(self.command, self.path, json.loads(content or b"null"))
            self._send("application/json", json.dumps(answer).encode())

        def _send(self, content_type: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


class StoppableRig(Rig):
    """A deployment in which the adapter is installed by its entry point, as that of another package."""

    def __init__(self, folder: Path, studio: Studio) -> None:
        super().__init__(folder, result_bytes=20_000)
        self._studio = studio
        installed = folder / "site" / "stoppable-1.0.dist-info"
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: stoppable\nVersion: 1.0\n")
        entry = f"{__name__}:{StoppableAdapter.__name__}"
        (installed / "entry_points.txt").write_text(f"[bide.providers]\nstoppable = {entry}\n")
        self._site = installed.parent

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
