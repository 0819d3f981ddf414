"""Black Forest Labs: a path for each model, an address to poll in the answer, and samples that die."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, json_object, page, reply, unprocessable
from sandbox.faults import MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.provider import Provider, origin
from sandbox.world import UNKNOWN_NAME

#: The official client drops the path of its base address.
ROOT = ""
FILES = "/bfl/delivery"

#: How long a sample lives [seconds], unless `result_expires` says otherwise.
_SAMPLE_SECONDS = 600.0

#: Credits for the first megapixel, and for each further one.
_FIRST_MEGAPIXEL, _NEXT_MEGAPIXEL = 3.0, 1.5

_STATUS = {
    Phase.QUEUED: "Pending",
    Phase.RUNNING: "Pending",
    Phase.DONE: "Ready",
    Phase.EMPTY: "Ready",
    Phase.MISSING: "Task not found",
    Phase.ODD: ODD_WORD,
}


class BFL(Provider):
    """POST /v1/{model}, GET /v1/get_result?id=."""

    name = "bfl"
    root = ROOT

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("POST", "/v1/{model:flux[a-z0-9_.-]*|no-such[a-z0-9_.-]*}", SUBMIT, self._submit),
            self.route("GET", "/v1/get_result", POLL, self._result),
            self.route("GET", FILES + "/{id}.{format:jpg|png|mp4}", MEDIA, self._file, public=True),
        )

    def key(self, request: web.Request) -> str:
        return request.headers.get("x-key", "")

    def authorize(self, request: web.Request) -> None:
        if not self.world.takes_key(self.key(request)):
            raise RefusedError(self.refusal(403, "Not authenticated - Invalid Authentication"))

    def refusal(self, status: int, message: str) -> web.Response:
        """Keys are refused in FastAPI's form; a limit says when to come back."""
        if status in (401, 403, 404):
            return reply({"detail": message}, status)
        names = {400: "validation_error", 402: "insufficient_credits", 429: "rate_limit_exceeded"}
        extra = {"retry_after": 5} if status == 429 else {}
        return reply({"error": names.get(status, "internal_error"), "message": message, **extra}, status)

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        model, params = request.match_info["model"], await json_object(request)
        if params is None:
            raise RefusedError(self.refusal(400, "the body is not a JSON object"))
        if model.startswith(UNKNOWN_NAME):
            raise RefusedError(self.refusal(404, "Not Found"))
        if not any(isinstance(params.get(name), str) and params[name] for name in ("prompt", "image_prompt", "image")):
            raise RefusedError(unprocessable(("prompt", "Field required")))
        details = {"format": _format(model, params), **_size(params)}
        draft = Draft(self.name, model, params, str(params.get("prompt") or ""), details)
        return await self.submit(request, draft, str(uuid.uuid4()), lambda job: self._accepted(request, job))

    def _accepted(self, request: web.Request, job: Job) -> web.Response:
        megapixels = job.details["width"] * job.details["height"] / 1e6
        cost = _FIRST_MEGAPIXEL + _NEXT_MEGAPIXEL * math.ceil(max(megapixels - 1, 0))
        address = f"{origin(request)}/v1/get_result?id={job.id}"
        return reply(
            {"id": job.id, "polling_url": address, "cost": cost, "input_mp": 0.0, "output_mp": round(megapixels, 2)}
        )

    async def _result(self, request: web.Request) -> web.StreamResponse:
        job_id = request.query.get("id", "")

        def answer(job: Job | None, phase: Phase) -> web.Response:
            return reply(_answer(request, job_id, job, phase), 404 if job is None else 200)

        return await self.poll(request, self.job(job_id), answer)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """Signed, without a key; dead after ten minutes, by its signature."""
        job = self.job(request.match_info["id"])
        lives = float(job.fates.get("result_expires", _SAMPLE_SECONDS)) if job else 0.0
        if job is None or "sig" not in request.query or time.time() >= job.done_at + lives:
            return page(403, "Signature not valid in the specified time frame")
        width, height = job.details["width"], job.details["height"]
        return await self.file(request, job, self.world.order(job.digest, request.match_info["format"], width, height))


def _answer(request: web.Request, job_id: str, job: Job | None, phase: Phase) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": job_id, "status": _STATUS.get(phase, "Error"), "result": None, "progress": None}
    if job is None:
        return answer
    if phase is Phase.RUNNING:
        answer["progress"] = round(min(job.share(time.time()), 0.99), 2)
    elif phase is Phase.DONE:
        sample = (
            f"{origin(request)}{FILES}/{job.id}.{job.details['format']}?se={job.done_at + _SAMPLE_SECONDS:.0f}&sig=a%3D"
        )
        answer["result"] = {"sample": sample, "prompt": job.reference, "seed": int(job.digest[:6], 16)}
    elif phase is Phase.FAILED and not job.fates.keys().isdisjoint(("moderated", "request_moderated")):
        stage = "Request" if "request_moderated" in job.fates else "Content"
        answer |= {"status": f"{stage} Moderated", "details": {"Moderation Reasons": ["Safety Filter"]}}
    elif phase is Phase.FAILED:
        answer["error"] = job.failure
    return answer


def _format(model: str, params: Mapping[str, Any]) -> str:
    if model.endswith("-video"):
        return "mp4"
    return "png" if params.get("output_format") == "png" else "jpg"


def _size(params: Mapping[str, Any]) -> dict[str, int]:
    sides = {side: params.get(side) for side in ("width", "height")}
    return {side: value if isinstance(value, int) and 64 <= value <= 2048 else 512 for side, value in sides.items()}
