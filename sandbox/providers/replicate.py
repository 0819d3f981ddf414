"""Replicate: one record for predictions of all models, whose output is JSON of any shape."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, json_object, reply
from sandbox.faults import CANCEL, CATALOG, MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.provider import Provider, long_film_url, origin
from sandbox.world import UNKNOWN_NAME

ROOT = "/replicate/v1"
FILES = "/replicate-delivery"

#: Predictions on one page of the list.
_PAGE = 100

#: Most files of one prediction.
_MOST_FILES = 4

#: The longest that a submit is held for [seconds], and how often it looks meanwhile.
_LONGEST_WAIT_SECONDS, _LOOK_SECONDS = 60.0, 0.02

_STATUS = {
    Phase.QUEUED: "starting",
    Phase.RUNNING: "processing",
    Phase.DONE: "succeeded",
    Phase.EMPTY: "succeeded",
    Phase.FAILED: "failed",
    Phase.CANCELED: "canceled",
    Phase.ODD: ODD_WORD,
}

_ENDED = frozenset({Phase.DONE, Phase.EMPTY, Phase.FAILED, Phase.CANCELED})

_VERSION = re.compile(r"(?:(?P<model>[^/:]+/[^/:]+))?(?::?(?P<id>[0-9a-f]{64}))?")

_MODERATED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"


class Replicate(Provider):
    """Predictions of models, versions and deployments; their list, and the versions of models."""

    name = "replicate"
    root = ROOT

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("POST", f"{ROOT}/predictions", SUBMIT, self._of_version),
            self.route("POST", ROOT + "/{kind:models|deployments}/{owner}/{name}/predictions", SUBMIT, self._of_name),
            self.route("GET", f"{ROOT}/predictions", CATALOG, self._list),
            self.route("GET", ROOT + "/predictions/{id}", POLL, self._get),
            self.route("POST", ROOT + "/predictions/{id}/cancel", CANCEL, self._cancel),
            self.route("GET", ROOT + "/models/{owner}/{name}/versions/{id}", CATALOG, self._version),
            self.route("GET", FILES + "/{id}/out-{number:\\d+}.{format:webp|mp4}", MEDIA, self._file, public=True),
        )

    def refusal(self, status: int, message: str) -> web.Response:
        if status == 429:
            words = "Request was throttled. Your rate limit resets in ~7s."
            return reply({"detail": words, "status": 429, "retry_after": 7}, 429)
        problem = {"type": "https://replicate.com/docs/errors", "title": message, "status": status, "detail": message}
        return reply(problem, status)

    # Submits

    async def _of_version(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        version = body.get("version")
        found = _VERSION.fullmatch(version) if isinstance(version, str) and version else None
        if found is None:
            raise RefusedError(self.refusal(422, "version: does not exist, or you have no permission to use it"))
        return await self._buy(request, body, found["model"] or "sandbox/model", found["id"] or "hidden")

    async def _of_name(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        return await self._buy(request, body, "{owner}/{name}".format_map(request.match_info), "hidden")

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body = await json_object(request)
        if body is None or not isinstance(body.get("input"), dict):
            raise RefusedError(self.refusal(422, "input: is required and must be an object"))
        if not str(body.get("webhook") or "https:").startswith("https:"):
            raise RefusedError(self.refusal(422, "webhook: must be an HTTPS URL"))
        return body

    async def _buy(self, request: web.Request, body: Mapping[str, Any], model: str, version: str) -> web.StreamResponse:
        if model.startswith(UNKNOWN_NAME):
            raise RefusedError(self.refusal(404, "The requested resource could not be found."))
        given, count = body["input"], body["input"].get("num_outputs", 1)
        if not isinstance(count, int) or not 1 <= count <= _MOST_FILES:
            raise RefusedError(self.refusal(422, f"- input.num_outputs: must be between 1 and {_MOST_FILES}\n"))
        details = {"model": model, "version": version, "input": given, "count": count}
        params = {"model": model, "version": version, "input": given}
        draft = Draft(self.name, "predict", params, str(given.get("prompt", "")), details)

        async def answer(job: Job) -> web.Response:
            if hook := body.get("webhook"):
                self.world.hooks.promise(job, str(hook), lambda ended, phase: self._record(request, ended, phase))
            ended = await _ended_within(job, _wait_seconds(request.headers.get("Prefer", "")))
            return reply(self._record(request, job, job.glance(time.time())), 201 if ended else 202)

        return await self.submit(request, draft, secrets.token_hex(13), answer)

    # Predictions

    async def _get(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is None or phase is Phase.MISSING:
                return self.refusal(404, "The requested resource could not be found.")
            return reply(self._record(request, job, phase))

        return await self.poll(request, self.job(request.match_info["id"]), answer)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        """A prediction that has ended stays as it is."""

        def answer(job: Job | None) -> web.Response:
            if job is None:
                return self.refusal(404, "The requested resource could not be found.")
            job.cancel(time.time())
            phase = Phase.DONE if "cancel_too_late" in job.fates else job.glance(time.time())
            return reply(self._record(request, job, phase))

        return await self.ask(request, self.job(request.match_info["id"]), CANCEL, answer)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """The latest first."""
        now, known = time.time(), self.world.purchases
        after = _moment(request.query.get("created_after"), 0.0)
        before = _moment(request.query.get("created_before"), now + 1)
        found = [job for job in known.of(self.name) if known.knows(job) and after <= job.accepted_at <= before][::-1]
        first = int(cursor) if (cursor := request.query.get("cursor", "0")).isdigit() else 0
        following = (
            f"{origin(request)}{ROOT}/predictions?cursor={first + _PAGE}" if len(found) > first + _PAGE else None
        )
        page = [self._record(request, job, job.glance(now)) for job in found[first : first + _PAGE]]
        return await self.catalog(request, reply({"previous": None, "next": following, "results": page}))

    async def _version(self, request: web.Request) -> web.StreamResponse:
        schema = {"components": {"schemas": {"Output": {"type": "array", "items": {"type": "string"}}}}}
        version = {"id": request.match_info["id"], "created_at": "2026-01-05T10:00:00.000Z", "cog_version": "0.9.0"}
        return await self.catalog(request, reply({**version, "openapi_schema": schema}))

    def _record(self, request: web.Request, job: Job, phase: Phase) -> dict[str, Any]:
        """A prediction; its output grows while it is made."""
        ended, removed = phase in _ENDED, "result_expired" in job.fates and phase is Phase.DONE
        status = "aborted" if phase is Phase.FAILED and "aborted" in job.fates else _STATUS.get(phase, "starting")
        address = f"{origin(request)}{ROOT}/predictions/{job.id}"
        return {
            "id": job.id,
            "model": job.details["model"],
            "version": job.details["version"],
            "input": {} if removed else job.details["input"],
            "output": None if removed else self._output(request, job, phase),
            "logs": None if removed else _logs(job, phase),
            "error": _error(job) if status == "failed" else None,
            "status": status,
            "data_removed": removed,
            "created_at": job.created,
            "started_at": None if phase is Phase.QUEUED or status == "aborted" else job.created,
            "completed_at": job.created if ended else None,
            "metrics": {"predict_time": 1.21, "total_time": round(job.latency_seconds, 3)} if ended else {},
            "urls": {"get": address, "cancel": f"{address}/cancel", "web": f"https://replicate.com/p/{job.id}"},
        }

    def _output(self, request: web.Request, job: Job, phase: Phase) -> Any:
        """What a model makes, by its name: a video, the parts of a text, or pictures."""
        if phase not in (Phase.DONE, Phase.RUNNING):
            return None
        files = f"{origin(request)}{FILES}/{job.id}"
        if "video" in job.details["model"]:
            return (long_film_url(request, job.text) or f"{files}/out-0.mp4") if phase is Phase.DONE else None
        if "text" in job.details["model"]:
            return ["A ", "description", "."][: None if phase is Phase.DONE else 1]
        count = job.details["count"] if phase is Phase.DONE else job.details["count"] - 1
        return [f"{files}/out-{number}.webp" for number in range(count)]

    async def _file(self, request: web.Request) -> web.StreamResponse:
        job = self.job(request.match_info["id"])
        subject = f"{job.digest}/{request.match_info['number']}" if job else ""
        return await self.file(request, job, self.world.order(subject, request.match_info["format"]))


def _error(job: Job) -> str:
    return _MODERATED if "moderated" in job.fates else job.failure


def _logs(job: Job, phase: Phase) -> str:
    """A progress bar behind words that quote the prompt."""
    if phase is Phase.QUEUED:
        return ""
    percent = 100 if phase is Phase.DONE else min(99, max(1, round(100 * job.share(time.time()))))
    return f"prompt: {job.reference}\n  0%|          | 0/100\n{percent:3}%|####      | {percent}/100 [00:01<00:01]\n"


def _wait_seconds(prefer: str) -> float:
    """How long `Prefer: wait` or `wait=n` asks a submit to be held for."""
    found = re.search(r"\bwait(?:=(\d+))?", prefer)
    return min(float(found[1] or _LONGEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS) if found else 0.0


async def _ended_within(job: Job, wait_seconds: float) -> bool:
    """Whether the wait, if any, did not run out."""
    until = time.time() + wait_seconds
    while job.running(time.time()) and time.time() < until:  # noqa: ASYNC110 - a rule may put off its end
        await asyncio.sleep(_LOOK_SECONDS)
    return not wait_seconds or not job.running(time.time())


def _moment(text: str | None, usual: float) -> float:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return usual
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() if moment else usual
