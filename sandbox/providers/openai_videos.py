"""The `/v1/videos` form as gateways serve it: a form in, a video behind the key, and the interval in a header."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from aiohttp import BodyPartReader, web

from sandbox.answers import RefusedError, json_object, reply
from sandbox.faults import CATALOG, MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.provider import Provider, origin
from sandbox.world import UNKNOWN_NAME

ROOT = "/openai_videos/v1"
VIDEOS = f"{ROOT}/videos"
FILES = "/openai_videos/files"

#: What the form's own words are, and those of the fault `gateway_words`.
_WORDS = {
    Phase.QUEUED: ("queued", "queued"),
    Phase.RUNNING: ("in_progress", "processing"),
    Phase.DONE: ("completed", "succeeded"),
    Phase.EMPTY: ("completed", "succeeded"),
    Phase.FAILED: ("failed", "cancelled"),
    Phase.ODD: (ODD_WORD, ODD_WORD),
}

#: Format of each variant of a finished video.
_VARIANTS = {"video": "mp4", "thumbnail": "webp", "spritesheet": "jpg"}


class OpenAIVideos(Provider):
    """POST /videos, /videos/{id}/remix; GET /videos[/{id}[/content]]; DELETE /videos/{id}."""

    name = "openai_videos"
    root = ROOT

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("POST", VIDEOS, SUBMIT, self._create),
            self.route("POST", VIDEOS + "/{id}/remix", SUBMIT, self._remix),
            self.route("GET", VIDEOS, CATALOG, self._list),
            self.route("GET", VIDEOS + "/{id}", POLL, self._retrieve),
            self.route("DELETE", VIDEOS + "/{id}", CATALOG, self._delete),
            self.route("GET", VIDEOS + "/{id}/content", MEDIA, self._content),
            self.route("GET", FILES + "/{id}.mp4", MEDIA, self._public_file, public=True),
        )

    def refusal(self, status: int, message: str) -> web.Response:
        code = {401: "invalid_api_key", 402: "insufficient_quota", 404: "not_found", 429: "rate_limit_exceeded"}
        kind = "server_error" if status >= 500 else "invalid_request_error"
        error = {"message": message, "type": kind, "param": None, "code": code.get(status)}
        return reply({"error": error}, 429 if status == 402 else status)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self._buy(request, await self._fields(request))

    async def _remix(self, request: web.Request) -> web.StreamResponse:
        source = self._known(request)
        fields = await self._fields(request)
        return await self._buy(request, {**source.details, **fields, "remixed_from_video_id": source.id})

    async def _fields(self, request: web.Request) -> dict[str, Any]:
        """The fields of the form, or of JSON, as many gateways take it; a file is its size."""
        if not request.content_type.startswith("multipart/"):
            body = await json_object(request)
            if body is None:
                raise RefusedError(self.refusal(400, "We could not parse the body of your request."))
            return body
        fields: dict[str, Any] = {}
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name:
                content = await part.read(decode=True)
                fields[part.name] = len(content) if part.filename else content.decode(errors="replace")
        return fields

    async def _buy(self, request: web.Request, fields: dict[str, Any]) -> web.StreamResponse:
        prompt, model = fields.get("prompt"), str(fields.get("model") or "sora-2")
        if not isinstance(prompt, str) or not prompt:
            raise RefusedError(self.refusal(400, "Missing required parameter: 'prompt'."))
        if model.startswith(UNKNOWN_NAME):
            raise RefusedError(self.refusal(404, f"The model '{model}' does not exist"))
        usual: dict[str, Any] = {"seconds": "4", "size": "720x1280", "remixed_from_video_id": None}
        details = {name: fields.get(name, value) for name, value in usual.items()} | {"model": model, "prompt": prompt}
        draft = Draft(self.name, "create", fields, prompt, details)
        return await self.submit(
            request, draft, f"video_{secrets.token_hex(12)}", lambda job: self._shown(request, job, Phase.QUEUED)
        )

    async def _retrieve(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is None or phase is Phase.MISSING:
                return self._not_found(request)
            return self._shown(request, job, phase)

        return await self.poll(request, self.job(request.match_info["id"]), answer)

    def _shown(self, request: web.Request, job: Job, phase: Phase) -> web.Response:
        response = reply(_video(request, job, phase))
        if phase in (Phase.QUEUED, Phase.RUNNING):
            milliseconds = max(20, round(job.latency_seconds * 250))
            response.headers["openai-poll-after-ms"] = str(milliseconds)
        return response

    async def _list(self, request: web.Request) -> web.StreamResponse:
        now, known = time.time(), self.world.purchases
        videos = [_video(request, job, job.glance(now)) for job in known.of(self.name) if known.knows(job)]
        newest = videos[::-1]
        ids = {"first_id": newest[0]["id"], "last_id": newest[-1]["id"]} if newest else {}
        return await self.catalog(request, reply({"object": "list", "data": newest, "has_more": False, **ids}))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        job = self._known(request)
        self.world.purchases.forget(job)
        return await self.catalog(request, reply({"id": job.id, "deleted": True, "object": "video.deleted"}))

    async def _content(self, request: web.Request) -> web.StreamResponse:
        job, variant = self._known(request), request.query.get("variant", "video")
        if variant not in _VARIANTS or not job.has_files(time.time()):
            raise RefusedError(self._not_found(request))
        return await self.file(request, job, self.world.order(job.digest, _VARIANTS[variant]))

    async def _public_file(self, request: web.Request) -> web.StreamResponse:
        job = self.job(request.match_info["id"])
        return await self.file(request, job, self.world.order(job.digest if job else "", "mp4"))

    def _known(self, request: web.Request) -> Job:
        job = self.job(request.match_info["id"])
        if job is None:
            raise RefusedError(self._not_found(request))
        return job

    def _not_found(self, request: web.Request) -> web.Response:
        return self.refusal(404, f"Video with id '{request.match_info['id']}' not found.")


def _video(request: web.Request, job: Job, phase: Phase) -> dict[str, Any]:
    gateway = "gateway_words" in job.fates
    done = phase in (Phase.DONE, Phase.EMPTY)
    ended = int(job.done_at) if done else None
    share = min(job.share(time.time()), 0.99)
    video = {
        "id": job.id,
        "object": "video",
        "status": _WORDS.get(phase, ("failed", "failed"))[gateway],
        "progress": 100 if done else 0 if phase in (Phase.QUEUED, Phase.FAILED) else int(share * 100),
        "created_at": int(job.accepted_at),
        "completed_at": ended,
        "expires_at": ended and ended + 3600,
        "error": _error(job) if phase is Phase.FAILED else None,
        **job.details,
    }
    if gateway and phase is Phase.DONE:
        video["video_url"] = f"{origin(request)}{FILES}/{job.id}.mp4"
    return video


def _error(job: Job) -> dict[str, str] | None:
    if "moderated" in job.fates:
        return {"code": "moderation_blocked", "message": "Your request was blocked by our moderation system."}
    if "interrupted" in job.fates:
        return None
    return {"code": "video_generation_failed", "message": job.failure}
