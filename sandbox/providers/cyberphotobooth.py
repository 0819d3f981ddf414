"""CyberPhotoBooth: JSON in, base64 or links out, FastAPI manners."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, json_object, raw_json, reply, unprocessable
from sandbox.faults import CATALOG, MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.pictures import Order
from sandbox.provider import Provider, long_film_url, origin, seconds
from sandbox.world import UNKNOWN_NAME

ROOT = "/cyberphotobooth/api"
FILES = "/cyberphotobooth/s3"

#: Style id to name and English name; id 1029 is the one of the documentation.
STYLES = {
    1079: ("GTA", "GTA"),
    1046: ("Mad Max", "Mad Max"),
    1009: ("Киберпанк", "Cyberpunk"),
    1029: ("Стимпанк", "SteamPunk"),
    1033: ("Акварель", "Watercolour"),
    1051: ("Комикс", "Comic"),
}

_STATUS = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "processing",
    Phase.FAILED: "failed",
    Phase.MISSING: "not_found",
    Phase.ODD: ODD_WORD,
}

_SEXES = {"man", "woman", "boy", "girl"}


class CyberPhotoBooth(Provider):
    """POST /async/submit, GET /async/status/{id}, GET /public/styles."""

    name = "cyberphotobooth"
    root = ROOT

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("POST", f"{ROOT}/async/submit", SUBMIT, self._submit),
            self.route("GET", ROOT + "/async/status/{id}", POLL, self._status),
            self.route("GET", f"{ROOT}/public/styles", CATALOG, self._styles, public=True),
            self.route("GET", FILES + "/{id}/{number:\\d+}.{format:jpg|mp4}", MEDIA, self._file, public=True),
        )

    def refusal(self, status: int, message: str) -> web.Response:
        return reply({"detail": message}, status)

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        body = await json_object(request)
        if problems := _problems(body):
            raise RefusedError(unprocessable(*problems))
        params = body or {}
        if str(params.get("style", "")).startswith(UNKNOWN_NAME):
            raise RefusedError(self.refusal(400, f"Unknown style: {params['style']}"))
        draft = _draft(params)
        return await self.submit(request, draft, str(uuid.uuid4()), self._accepted)

    def _accepted(self, job: Job) -> web.Response:
        wait = seconds(job.latency_seconds)
        return reply({"job_id": job.id, "status": "queued", "estimated_wait_time_seconds": wait})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        job = self.job(request.match_info["id"])

        async def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is None:
                return reply({"job_id": request.match_info["id"], "status": "not_found"}, 404)
            if phase in (Phase.DONE, Phase.EMPTY):
                return await self._completed(request, job, empty=phase is Phase.EMPTY)
            status = {"job_id": job.id, "status": _STATUS[phase]}
            return reply(status | {"error": job.failure} if phase is Phase.FAILED else status)

        return await self.poll(request, job, answer)

    async def _completed(self, request: web.Request, job: Job, *, empty: bool) -> web.Response:
        """The results are inline, so the text of the answer is put together without copying it about."""
        head: dict[str, Any] = {
            "job_id": job.id,
            "status": "completed",
            "processing_time_ms": round(job.latency_seconds * 1000),
        }
        images = [] if empty else range(job.details["images"])
        videos = [] if empty else range(job.details["videos"])
        if job.details["links"]:
            links = [self._link(request, job, n, "jpg") for n in images]
            films = [self._link(request, job, n, "mp4") for n in videos]
            head |= {"results": {"images": links, "videos": films}, "s3_urls": {"output": [*links, *films]}}
            return reply(head)
        pictures = [await self.world.gallery.base64(self._order(job, n, "jpg")) for n in images]
        films_inline = [await self.world.gallery.base64(self._order(job, n, "mp4")) for n in videos]
        start = json.dumps(head)[:-1].encode()
        return raw_json(
            b'%s, "results": {"images": [%s], "videos": [%s]}}' % (start, _quoted(pictures), _quoted(films_inline))
        )

    def _link(self, request: web.Request, job: Job, number: int, file_format: str) -> str:
        long_film = long_film_url(request, job.text) if file_format == "mp4" else None
        return long_film or f"{origin(request)}{FILES}/{job.id}/{number}.{file_format}"

    def _order(self, job: Job | None, number: int, file_format: str) -> Order:
        return self.world.order(f"{job.digest if job else ''}/{number}", file_format)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        job = self.job(found["id"])
        return await self.file(request, job, self._order(job, int(found["number"]), found["format"]))

    async def _styles(self, request: web.Request) -> web.StreamResponse:
        styles = [
            {"name": name, "style_id": style_id, "display_name_ru": name, "display_name_en": english}
            for style_id, (name, english) in STYLES.items()
        ]
        return await self.catalog(request, reply(styles))


def _draft(params: Mapping[str, Any]) -> Draft:
    inner = params["params"]
    prompt = str(inner.get("Prompt") or inner.get("prompt") or "")
    text = prompt or "\n".join(value for value in inner.values() if isinstance(value, str) and len(value) < 200)
    details = {
        "links": params.get("return_s3_link") is True,
        "images": 2 if "[images:2]" in text else 1,
        "videos": 1 if "[video" in text else 0,
    }
    return Draft("cyberphotobooth", "generate", params, prompt, details)


def _problems(body: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What is wrong with a submit: pairs of field and words."""
    if body is None:
        return [("", "Input should be a valid JSON object")]
    problems = []
    if not isinstance(body.get("mode"), str) or not body["mode"]:
        problems.append(("mode", "Field required"))
    if body.get("style") in (None, "") and body.get("user_style_id") in (None, ""):
        problems.append(("style", "Field required"))
    elif isinstance(body.get("style"), bool | float | list | dict):
        problems.append(("style", "Input should be a valid string or integer"))
    if not isinstance(body.get("return_s3_link", False), bool):
        problems.append(("return_s3_link", "Input should be a valid boolean"))
    return problems + _inner_problems(str(body.get("mode", "")), body.get("params"))


def _inner_problems(mode: str, params: Any) -> list[tuple[str, str]]:
    if not isinstance(params, dict):
        return [("params", "Field required")]
    needed = "Prompt" if mode.endswith("_text") else "Face"
    problems = [(f"params.{needed}", "Field required")] if not params.get(needed) else []
    pictures = {name: _base64_trouble(params[name]) for name in ("Face", "Fon") if params.get(name)}
    problems += [(f"params.{name}", trouble) for name, trouble in pictures.items() if trouble]
    sexes = str(params.get("Sex", "man")).split(", ")
    if not _SEXES.issuperset(sexes):
        problems.append(("params.Sex", f"Input should be of {', '.join(sorted(_SEXES))}"))
    return problems


def _base64_trouble(value: Any) -> str:
    if not isinstance(value, str):
        return "Input should be a valid string"
    if value.startswith("data:"):
        return "base64 without the data-URI prefix is expected"
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return "not valid base64"
    return ""


def _quoted(texts: Sequence[bytes]) -> bytes:
    return b", ".join(b'"%s"' % text for text in texts)
