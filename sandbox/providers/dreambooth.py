"""Dreambooth v4: the key in the body, refusals under HTTP 200, ids and outputs of changing type, `messege`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, json_object, reply
from sandbox.faults import MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.pictures import Order
from sandbox.provider import Provider, long_film_url, origin
from sandbox.world import UNKNOWN_NAME

ROOT = "/dreambooth/api/v4"
FILES = "/dreambooth/generations"

#: Largest picture [pixels] and most pictures of one request.
_LARGEST_EDGE = 1024
_MOST_SAMPLES = 4

#: Where a request keeps the key that its body had.
_KEY = "sandbox.key"

_YES = ("yes", "true", True)


class Dreambooth(Provider):
    """POST /dreambooth, /dreambooth/img2img and /dreambooth/fetch."""

    name = "dreambooth"
    root = ROOT

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("POST", f"{ROOT}/dreambooth", SUBMIT, self._text2img),
            self.route("POST", f"{ROOT}/dreambooth/img2img", SUBMIT, self._img2img),
            self.route("POST", f"{ROOT}/dreambooth/fetch", POLL, self._fetch),
            self.route("POST", ROOT + "/dreambooth/fetch/{id}", POLL, self._fetch),
            self.route("GET", FILES + "/{id}-{number:\\d+}.png", MEDIA, self._file, public=True),
        )

    def refusal(self, status: int, message: str) -> web.Response:
        """Refusals come under HTTP 200; only the queue limit says how long to wait."""
        extra = {"retry_after": 30} if status == 429 else {}
        return reply({"status": "error", "message": message, "tip": "see the documentation", **extra})

    def key(self, request: web.Request) -> str:
        """As `_body` found it."""
        return str(request.get(_KEY, ""))

    def authorize(self, request: web.Request) -> None:
        """The key stands in the body: `_body` checks it."""

    async def _body(self, request: web.Request) -> dict[str, Any]:
        """The body without the key."""
        body = await json_object(request)
        if body is None:
            raise RefusedError(self.refusal(400, "the request body is not valid JSON"))
        request[_KEY] = str(body.pop("key", ""))
        if not self.world.takes_key(self.key(request)):
            raise RefusedError(self.refusal(401, "Invalid API key"))
        return body

    async def _text2img(self, request: web.Request) -> web.StreamResponse:
        return await self._generate(request, "text2img")

    async def _img2img(self, request: web.Request) -> web.StreamResponse:
        return await self._generate(request, "img2img")

    async def _generate(self, request: web.Request, operation: str) -> web.StreamResponse:
        params = await self._body(request)
        hook, track_id = params.pop("webhook", None), params.pop("track_id", None)
        if hook and not str(hook).startswith("http"):
            raise RefusedError(
                reply({"status": "error", "message": {"webhook": [f"The webhook {hook} is not a URL."]}})
            )
        if problems := _problems(params, operation):
            raise RefusedError(reply({"status": "error", "message": problems}))
        if str(params["model_id"]).startswith(UNKNOWN_NAME):
            raise RefusedError(self.refusal(404, "Model not found"))
        draft = Draft(self.name, operation, params, params["prompt"], _details(params))
        at_once = "at once" in draft.text or (draft.details["samples"] == 1 and int(draft.digest, 16) % 3 == 0)

        def body(job: Job, phase: Phase) -> dict[str, Any] | None:
            return self._called(request, job, phase, track_id)

        async def answer(job: Job) -> web.Response:
            if hook:
                self.world.hooks.promise(job, str(hook), body)
            if "no_id" in job.fates:
                return await self._nameless(job)
            if at_once and job.fates.keys() <= {"empty_result", "hook_lost", "hook_repeated"}:
                return await self._finished(request, job, full=True)
            return reply(self._queued(request, job))

        job_id = str(uuid.uuid4().int % 90_000_000 + 10_000_000)
        return await self.submit(request, draft, job_id, answer, at_once=at_once)

    async def _nameless(self, job: Job) -> web.Response:
        """Finished at once, with the pictures in it and no id to ask again."""
        files = [await self.world.gallery.base64(self._order(job, n)) for n in range(job.details["samples"])]
        return reply({"status": "success", "id": "", "output": [content.decode() for content in files]})

    def _queued(self, request: web.Request, job: Job) -> dict[str, Any]:
        """Which of the documented variants a job gets depends on its digest."""
        variant = Random(job.digest)
        return {
            "status": "processing",
            "tip": "fetch the queued images later",
            "eta": round(float(job.fates.get("eta", job.latency_seconds)), 2),
            variant.choice(("message", "messege")): "Try to fetch request after seconds estimated",
            "webhook_status": "",
            "fetch_result": f"{origin(request)}{ROOT}/dreambooth/fetch/{job.id}",
            "id": int(job.id),
            "output": variant.choice(([], "")),
            "future_links": self._links(request, job),
            "meta": _meta(job),
        }

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        job_id = str(request.match_info.get("id") or body.get("request_id") or "")
        if not job_id:
            problem = {"request_id": ["The request id field is required."]}
            raise RefusedError(reply({"status": "error", "message": problem}))

        async def answer(job: Job | None, phase: Phase) -> web.Response:
            match phase:
                case Phase.MISSING:
                    gone = {"status": "error", "id": "", "message": "Request not found", "output": ""}
                    return reply(gone, 404 if job is None else 200)
                case Phase.FAILED:
                    return reply({"status": "failed", "id": "", "message": "Failed, Try Again", "output": ""})
                case Phase.QUEUED | Phase.RUNNING:
                    return reply({"status": "processing", "id": "", "messege": "Request processing", "output": ""})
                case Phase.ODD:
                    return reply({"status": ODD_WORD, "id": "", "output": ""})
            if job is None or phase is Phase.EMPTY:
                return reply({"status": "success", "id": int(job_id), "output": []})
            return await self._finished(request, job)

        return await self.poll(request, self.job(job_id), answer)

    def _called(self, request: web.Request, job: Job, phase: Phase, track_id: Any) -> dict[str, Any] | None:
        """The body of the webhook about a job's end."""
        common = {"id": int(job.id), "track_id": track_id, "meta": _meta(job)}
        match phase:
            case Phase.DONE | Phase.EMPTY:
                output = self._links(request, job) if phase is Phase.DONE else []
                return {"status": "success", "output": output, "generationTime": 2.42, **common}
            case Phase.FAILED:
                return {"status": "failed", "message": "Failed, Try Again", "output": "", **common}
        return None

    async def _finished(self, request: web.Request, job: Job, *, full: bool = False) -> web.Response:
        """Success; the fetch answer has no more than id and output."""
        output = self._links(request, job)
        if "links_alone" in job.fates:
            return reply({"status": "success", "id": int(job.id), "output": [], "future_links": output})
        if "empty_result" in job.fates:
            output = []
        elif job.details["base64"]:
            files = [await self.world.gallery.base64(self._order(job, n)) for n in range(job.details["samples"])]
            output = [content.decode() for content in files]
        answer: dict[str, Any] = {"status": "success", "id": int(job.id), "output": output}
        if full:
            answer |= {"generationTime": 2.42, "nsfw_content_detected": False, "meta": _meta(job)}
        return reply(answer)

    def _links(self, request: web.Request, job: Job) -> list[str]:
        if film := long_film_url(request, job.text):
            return [film]
        return [f"{origin(request)}{FILES}/{job.id}-{n}.png" for n in range(job.details["samples"])]

    def _order(self, job: Job | None, number: int) -> Order:
        if job is None:
            return self.world.order("", "png")
        return self.world.order(f"{job.digest}/{number}", "png", job.details["width"], job.details["height"])

    async def _file(self, request: web.Request) -> web.StreamResponse:
        job = self.job(request.match_info["id"])
        return await self.file(request, job, self._order(job, int(request.match_info["number"])))


def _meta(job: Job) -> dict[str, Any]:
    return {"prompt": job.reference, "W": job.details["width"], "H": job.details["height"]}


def _details(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "width": _number(params.get("width"), 512),
        "height": _number(params.get("height"), 512),
        "samples": _number(params.get("samples"), 1),
        "base64": params.get("base64") in _YES,
    }


def _problems(params: Mapping[str, Any], operation: str) -> dict[str, list[str]]:
    """Laravel's manner: a list of texts for each bad field."""
    problems: dict[str, list[str]] = {}
    for name in ("model_id", "prompt", *(("init_image",) if operation == "img2img" else ())):
        if not isinstance(params.get(name), str) or not params[name]:
            problems[name] = [f"The {name.replace('_', ' ')} field is required."]
    if operation == "img2img" and "init_image" not in problems and not params["init_image"].startswith("http"):
        problems["init_image"] = ["The init image must be a valid URL."]
    for name, most in (("width", _LARGEST_EDGE), ("height", _LARGEST_EDGE), ("samples", _MOST_SAMPLES)):
        if not 1 <= _number(params.get(name), 1) <= most:
            problems[name] = [f"The {name} must be a number between 1 and {most}."]
    return problems


def _number(value: Any, usual: int) -> int:
    """A number as clients send it, also as text; 0 for what is none."""
    if value is None:
        return usual
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else 0
