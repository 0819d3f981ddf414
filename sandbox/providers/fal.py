"""fal's queue: the answer to a submit names every later address, and a failure comes as a completed request."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, json_object, reply
from sandbox.faults import CANCEL, MEDIA, ODD_WORD, POLL, RESULT, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.provider import Provider, long_film_url, origin, token
from sandbox.world import UNKNOWN_NAME

ROOT = "/fal"
FILES = "/fal-media/files"

#: First parts of a model's id that stand before its owner.
_NAMESPACES = ("workflows", "comfy")

#: Most pictures of one request.
_MOST_PICTURES = 4

_STATUS = {
    Phase.QUEUED: "IN_QUEUE",
    Phase.RUNNING: "IN_PROGRESS",
    Phase.ODD: ODD_WORD.upper(),
}

#: Failures of fal itself that can be ordered: type and code.
_PLATFORM = {"aborted": ("startup_timeout", 504), "fail": ("runner_server_error", 500)}

#: Failures of a model that can be ordered: the type.
_MODELS = {"moderated": "content_policy_violation", "failure_in_result": "no_media_generated"}


@dataclass(frozen=True)
class Error:
    """Why a request has failed; a model's own error has a place in the input."""

    code: int
    words: str
    kind: str
    place: tuple[str, ...] = ()


class Fal(Provider):
    """Submit, status, result and cancel; the input is checked by the model alone, after the queue."""

    name = "fal"
    root = ROOT

    def routes(self) -> Sequence[web.RouteDef]:
        request = ROOT + "/{app:.+}/requests/{id}"
        return (
            self.route("POST", ROOT + "/{model:.+}", SUBMIT, self._submit),
            self.route("GET", f"{request}/status", POLL, self._status),
            self.route("GET", f"{request}/response", RESULT, self._result),
            self.route("GET", request, RESULT, self._result),
            self.route("PUT", f"{request}/cancel", CANCEL, self._cancel),
            self.route("GET", FILES + "/{id}-{number:\\d+}.{format:png|mp4}", MEDIA, self._file, public=True),
        )

    def refusal(self, status: int, message: str) -> web.Response:
        """What can't be paid is 403 here: the account is locked."""
        if status == 402:
            return reply({"detail": f"User is locked. Reason: {message}."}, 403)
        return reply({"detail": message}, status)

    def key(self, request: web.Request) -> str:
        return token(request, "key")

    def authorize(self, request: web.Request) -> None:
        if not self.world.takes_key(self.key(request)):
            raise RefusedError(self.refusal(401, "Authentication is required to access this application."))

    # The queue

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        model, given = request.match_info["model"], await json_object(request)
        parts = model.split("/")
        if given is None:
            raise RefusedError(_platform_error("the body is not a JSON object", "bad_request", 400))
        if len(parts) < 2 or not all(parts) or parts[0].startswith(UNKNOWN_NAME):
            raise RefusedError(self.refusal(404, f"Application {model!r} not found"))
        params = {"model": model, "input": given}
        details = {
            "app": "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2]),
            "kind": _kind(model),
            "count": _wanted(given.get("num_images", 1)),
            "valid": _is_valid(given),
        }
        draft = Draft(self.name, "run", params, str(given.get("prompt", "")), details)

        def answer(job: Job) -> web.Response:
            if hook := request.query.get("fal_webhook"):
                self.world.hooks.promise(job, hook, lambda ended, phase: self._called(request, ended, phase))
            return _with_id(reply(self._accepted(request, job)), job)

        return await self.submit(request, draft, str(uuid.uuid4()), answer)

    def _accepted(self, request: web.Request, job: Job) -> dict[str, Any]:
        return {
            "status": "IN_QUEUE",
            "request_id": job.id,
            "gateway_request_id": job.id,
            **_addresses(request, job),
            "queue_position": 0,
        }

    async def _status(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is None or phase is Phase.MISSING:
                return reply({"status": "NOT_FOUND"}, 404)
            if phase in _STATUS:
                left: dict[str, Any] = {"queue_position": 1} if phase is Phase.QUEUED else {"logs": []}
                return _with_id(reply({"status": _STATUS[phase], **left, **_addresses(request, job)}, 202), job)
            job.details["empty"] = phase is Phase.EMPTY
            return _with_id(reply(self._completed(request, job)), job)

        return await self.poll(request, self._known(request), answer)

    def _completed(self, request: web.Request, job: Job) -> dict[str, Any]:
        """Success or failure: only the second says so, and not always."""
        body = {"status": "COMPLETED", "logs": [], "metrics": {"inference_time": 2.42}, **_addresses(request, job)}
        error = _error_of(job)
        if error is None or "failure_in_result" in job.fates:
            return body
        if error.place:
            return body | {"error": f"Invalid status code: {error.code}"}
        return body | {"error": error.words, "error_type": error.kind}

    async def _result(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None) -> web.Response:
            now = time.time()
            if job is None or "result_expired" in job.fates or (not job.running(now) and "expired" in job.fates):
                return reply({"detail": "Request not found"}, 404)
            if job.running(now):
                return _with_id(reply({"detail": "Request is still in progress"}, 400), job)
            error = _error_of(job)
            return _with_id(_failed(error) if error else self._made(request, job), job)

        return await self.ask(request, self._known(request), RESULT, answer)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None) -> web.Response:
            if job is None:
                return reply({"status": "NOT_FOUND"}, 404)
            if not job.running(time.time()) or "cancel_too_late" in job.fates:
                return reply({"status": "ALREADY_COMPLETED"}, 400)
            job.cancel(time.time())
            return reply({"status": "CANCELLATION_REQUESTED"}, 202)

        return await self.ask(request, self._known(request), CANCEL, answer)

    def _known(self, request: web.Request) -> Job | None:
        """The request, if it was made to this app; the model's path behind it makes no difference."""
        job, app = self.job(request.match_info["id"]), f"{request.match_info['app']}/"
        return job if job is not None and app.startswith(f"{job.details['app']}/") else None

    def _called(self, request: web.Request, job: Job, phase: Phase) -> dict[str, Any] | None:
        """The body of the webhook about a request's end."""
        common = {"request_id": job.id, "gateway_request_id": job.id}
        if phase in (Phase.DONE, Phase.EMPTY):
            return {**common, "status": "OK", "error": None, "payload": self._output(request, job)}
        error = _error_of(job)
        return {**common, "status": "ERROR", "error": f"Invalid status code: {error.code}"} if error else None

    # Results

    def _made(self, request: web.Request, job: Job) -> web.Response:
        response = reply(self._output(request, job))
        response.headers["X-Fal-Billable-Units"] = (
            "3.008" if job.details["kind"] == "video" else str(job.details["count"])
        )
        return response

    def _output(self, request: web.Request, job: Job) -> dict[str, Any]:
        empty = job.details.get("empty") or "empty_result" in job.fates
        match job.details["kind"]:
            case "text":
                return {"output": "" if empty else f"A description of {job.reference or 'it'}."}
            case "video":
                url = long_film_url(request, job.text) or f"{origin(request)}{FILES}/{job.id}-0.mp4"
                return {"video": None if empty else _file(url, "video/mp4"), "seed": 7}
        urls = [
            f"{origin(request)}{FILES}/{job.id}-{number}.png" for number in range(0 if empty else job.details["count"])
        ]
        pictures = [_file(url, "image/png") | {"width": 512, "height": 512} for url in urls]
        return {"images": pictures, "seed": 7, "has_nsfw_concepts": [False] * len(pictures), "prompt": job.reference}

    async def _file(self, request: web.Request) -> web.StreamResponse:
        job = self.job(request.match_info["id"])
        subject = f"{job.digest}/{request.match_info['number']}" if job else ""
        return await self.file(request, job, self.world.order(subject, request.match_info["format"]))


def _kind(model: str) -> str:
    """What a model makes, by its name."""
    return next((kind for kind in ("video", "text") if kind in model), "image")


def _is_valid(given: Mapping[str, Any]) -> bool:
    """Whether a model takes the input, once it runs: it wants a prompt, or the address of a file."""
    return isinstance(given.get("prompt"), str) or any(name.endswith(("_url", "_urls")) for name in given)


def _wanted(number: Any) -> int:
    return number if isinstance(number, int) and 1 <= number <= _MOST_PICTURES else 1


def _file(url: str, content_type: str) -> dict[str, Any]:
    return {"url": url, "content_type": content_type, "file_name": url.rpartition("/")[2], "file_size": None}


def _addresses(request: web.Request, job: Job) -> dict[str, str]:
    result = f"{origin(request)}{ROOT}/{job.details['app']}/requests/{job.id}"
    return {"response_url": result, "status_url": f"{result}/status", "cancel_url": f"{result}/cancel"}


def _with_id(response: web.Response, job: Job) -> web.Response:
    response.headers["x-fal-request-id"] = job.id
    return response


def _error_of(job: Job) -> Error | None:
    """Why a request has failed; None where it has not."""
    if "canceled" in job.fates:
        return Error(499, "Client cancelled the request", "client_cancelled")
    for fate, (kind, code) in _PLATFORM.items():
        if fate in job.fates:
            return Error(code, job.failure or "the request was not started in time", kind)
    for fate, kind in _MODELS.items():
        if fate in job.fates:
            return Error(422, job.failure, kind, ("body", "prompt"))
    if not job.details["valid"]:
        return Error(422, "Field required", "missing", ("body", "prompt"))
    return None


def _failed(error: Error) -> web.Response:
    """A model's own error has places; one of fal has a type beside its text."""
    if not error.place:
        return _platform_error(error.words, error.kind, error.code)
    detail = {"loc": error.place, "msg": error.words, "type": error.kind, "input": {"prompt": "..."}}
    response = reply({"detail": [detail]}, error.code)
    response.headers["X-Fal-Retryable"] = "false"
    return response


def _platform_error(message: str, kind: str, code: int) -> web.Response:
    response = reply({"detail": message, "error_type": kind}, code)
    response.headers["X-Fal-Error-Type"] = kind
    return response
