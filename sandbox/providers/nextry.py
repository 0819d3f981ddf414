"""Nextry: multipart in, paths relative to the origin out, and the slash at the end of the address matters."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from collections.abc import Sequence
from typing import Any

from aiohttp import BodyPartReader, web

from sandbox.answers import RefusedError, json_object, reply, unprocessable
from sandbox.faults import CATALOG, MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.provider import Provider

ROOT = "/nextry"
FILES = "/image/generation_result"

#: Group, tool and title, as documented.
TOOLS = (
    ("fashion", "lego_clothes", "Lego Clothes"),
    ("fashion", "mamasfit", "MamasFit"),
    ("fashion", "lengerie", "Lengerie"),
    ("fashion", "fashion_card", "Fashion Card"),
    ("fashion", "fashion_swap", "Fashion Swap"),
    ("fashion", "fashion_swap_half", "Fashion Swap Half"),
    ("interior", "furniture", "Furniture"),
    ("textile", "fabric", "Fabric"),
    ("default", "default", "Default"),
)

#: Files a tool must get; any other needs at least one of any name.
_FILES_OF = {"fashion_swap": ("clothes", "person"), "fashion_swap_half": ("clothes", "person"), "default": ()}

#: Format and edge [pixels] of the two files of a job.
_FILE_KINDS = {"stock": ("png", 512), "preview": ("webp", 256)}

_GENERATE = f"{ROOT}/generation/generate_image_v2"
_HISTORY = f"{ROOT}/user/generation-history"

_STATUS = {Phase.DONE: "complete", Phase.EMPTY: "complete", Phase.FAILED: "error", Phase.ODD: ODD_WORD}


class Nextry(Provider):
    """Tools, generation types, generate_image_v2/ and the history."""

    name = "nextry"
    root = ROOT

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("GET", f"{ROOT}/generation/tools", CATALOG, self._tools),
            self.route("GET", f"{ROOT}/generation/generationTypes", CATALOG, self._types),
            self.route("POST", f"{_GENERATE}/", SUBMIT, self._submit),
            self.route("POST", _GENERATE, CATALOG, self._without_slash, public=True),
            self.route("GET", _HISTORY + "/{id}", POLL, self._status),
            self.route("GET", _HISTORY, CATALOG, self._list),
            self.route("PATCH", _HISTORY + "/feedback/{id}", CATALOG, self._feedback),
            self.route("DELETE", _HISTORY + "/{id}", CATALOG, self._delete),
            self.route("GET", FILES + "/{id}_{kind:stock|preview}.{format}", MEDIA, self._file, public=True),
        )

    def refusal(self, status: int, message: str) -> web.Response:
        """Nextry lists no 402: what the plan does not cover is 403."""
        return reply({"detail": message}, 403 if status == 402 else status)

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        if not request.content_type.startswith("multipart/"):
            raise RefusedError(unprocessable(("tool", "Field required")))
        fields, files = await _form(request)
        if problems := _problems(fields, files):
            raise RefusedError(unprocessable(*problems))
        if fields["tool"] not in {tool for _, tool, _ in TOOLS}:
            raise RefusedError(self.refusal(400, f"Unknown tool: {fields['tool']}"))
        details = {"tool": fields["tool"]}
        draft = Draft(self.name, "generate_image", fields | {"files": files}, fields.get("prompt", ""), details)
        return await self.submit(request, draft, secrets.token_hex(6), self._accepted)

    def _accepted(self, job: Job) -> web.Response:
        """The paths are planned ones, and here they have no slash in front."""
        planned = {"preview_image": _path(job, "preview")[1:], "stock_image": _path(job, "stock")[1:]}
        return reply({**planned, "history_item_id": job.id}, 201)

    async def _without_slash(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"http://{request.host}{_GENERATE}/"})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is None or phase is Phase.MISSING:
                return self.refusal(404, "History item not found")
            return reply(_item(job, phase))

        return await self.poll(request, self.job(request.match_info["id"]), answer)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        page, limit = _whole(request.query.get("page", "1")), _whole(request.query.get("limit", "20"))
        if page < 1 or not 1 <= limit <= 100:
            raise RefusedError(unprocessable(("limit", "Input should be between 1 and 100")))
        now, known = time.time(), self.world.purchases
        items = [_item(job, job.glance(now)) for job in known.of(self.name) if known.knows(job)]
        wanted = request.query.getall("status", [])
        items = [item for item in reversed(items) if not wanted or item["status"] in wanted]
        shown = items[(page - 1) * limit : page * limit]
        pages = -(-len(items) // limit)
        body = {"page": page, "count": len(shown), "total_count": len(items), "pages": pages, "items": shown}
        return await self.catalog(request, reply(body))

    async def _feedback(self, request: web.Request) -> web.StreamResponse:
        job, body = self._known(request), await json_object(request)
        if body is None or not isinstance(body.get("like"), bool):
            raise RefusedError(unprocessable(("like", "Field required")))
        job.details["like"] = body["like"]
        return await self.catalog(request, reply({"id": job.id, "like": body["like"]}))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        self.world.purchases.forget(self._known(request))
        return await self.catalog(request, web.Response(status=204))

    def _known(self, request: web.Request) -> Job:
        job = self.job(request.match_info["id"])
        if job is None:
            raise RefusedError(self.refusal(404, "History item not found"))
        return job

    async def _tools(self, request: web.Request) -> web.StreamResponse:
        tools = [{"group_tool": group, "tool": tool, "title": title} for group, tool, title in TOOLS]
        return await self.catalog(request, reply(tools))

    async def _types(self, request: web.Request) -> web.StreamResponse:
        tool = request.query.get("tool", "")
        if tool not in {known for _, known, _ in TOOLS}:
            raise RefusedError(unprocessable(("tool", "Field required" if not tool else "Unknown tool")))
        types = [
            {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tool}/{title}")), "tool": tool, "title": title}
            for title in ("Standard", "High detail")
        ]
        return await self.catalog(request, reply(types))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        job = self.job(request.match_info["id"])
        file_format, edge = _FILE_KINDS[request.match_info["kind"]]
        return await self.file(request, job, self.world.order(job.digest if job else "", file_format, edge, edge))


def _path(job: Job, kind: str) -> str:
    return f"{FILES}/{job.id}_{kind}.{_FILE_KINDS[kind][0]}"


def _item(job: Job, phase: Phase) -> dict[str, Any]:
    done = phase is Phase.DONE
    item = {
        "id": job.id,
        "generation_type": job.details["tool"],
        "status": _STATUS.get(phase, "pending"),
        "created_at": job.created,
        "preview_url": _path(job, "preview") if done else None,
        "stock_url": _path(job, "stock") if done else None,
        "like": job.details.get("like"),
    }
    return item | {"error": job.failure} if phase is Phase.FAILED else item


async def _form(request: web.Request) -> tuple[dict[str, str], dict[str, str]]:
    """Text fields, and the digest of each file that is not empty."""
    fields: dict[str, str] = {}
    files: dict[str, str] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name:
            continue
        content = await part.read(decode=True)
        if part.filename is None:
            fields[part.name] = content.decode(errors="replace")
        elif content:
            files[part.name] = hashlib.sha256(content).hexdigest()
    return fields, files


def _problems(fields: dict[str, str], files: dict[str, str]) -> list[tuple[str, str]]:
    tool = fields.get("tool", "")
    if not tool:
        return [("tool", "Field required")]
    needed = _FILES_OF.get(tool)
    if needed is None:
        return [] if files else [("image", "Field required")]
    return [(name, "Field required") for name in needed if name not in files]


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0
