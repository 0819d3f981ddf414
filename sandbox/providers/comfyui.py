"""ComfyUI: a queue, a history, the jobs API beside them, and a listener's events; nothing of it wants a key."""

from __future__ import annotations

import heapq
import itertools
import time
import uuid
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, json_object, reply
from sandbox.faults import CATALOG, MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.provider import Provider
from sandbox.providers import comfyui_graphs as graphs
from sandbox.providers.comfyui_events import listen
from sandbox.world import World

#: Clients take its address without a path.
ROOT = ""

_STATUS = {
    Phase.QUEUED: "pending",
    Phase.RUNNING: "in_progress",
    Phase.DONE: "completed",
    Phase.EMPTY: "completed",
    Phase.FAILED: "failed",
    Phase.ODD: ODD_WORD,
}

#: What stands in the history.
_ENDED = (Phase.DONE, Phase.EMPTY, Phase.FAILED)

_EXCEPTION = {"node_id": "3", "node_type": "KSampler", "exception_type": "RuntimeError", "traceback": []}


class ComfyUI(Provider):
    """Each route is also there below /api, as at the real one; the jobs API is there alone."""

    name = "comfyui"
    root = ROOT

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._numbers = itertools.count()

    def routes(self) -> Sequence[web.RouteDef]:
        both = [
            ("POST", "/prompt", SUBMIT, self._submit),
            ("GET", "/prompt", CATALOG, self._remaining),
            ("GET", "/queue", CATALOG, self._queue),
            ("POST", "/queue", CATALOG, self._delete),
            ("POST", "/interrupt", CATALOG, self._interrupt),
            ("GET", "/history", CATALOG, self._histories),
            ("GET", "/history/{id}", POLL, self._history),
            ("GET", "/view", MEDIA, self._view),
            ("GET", "/ws", CATALOG, self._listen),
        ]
        jobs = [
            ("GET", "/api/jobs", CATALOG, self._jobs),
            ("GET", "/api/jobs/{id}", POLL, self._job),
            ("POST", "/api/jobs/{id}/cancel", CATALOG, self._cancel),
        ]
        below = [(method, f"/api{path}", operation, handler) for method, path, operation, handler in both]
        return [self.route(*route, public=True) for route in (*both, *below, *jobs)]

    def refusal(self, status: int, message: str) -> web.Response:
        return self._refused("sandbox", message, "", {}, status)

    def _refused(
        self, kind: str, message: str, details: str, node_errors: dict[str, Any], status: int = 400
    ) -> web.Response:
        error = {"type": kind, "message": message, "details": details, "extra_info": {}}
        return reply({"error": error, "node_errors": node_errors}, status)

    # Submit

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        body = await json_object(request) or {}
        job_id = body.pop("prompt_id", None) or str(uuid.uuid4())
        if not _is_canonical(job_id):
            advice = "prompt_id must be a UUID string in canonical lowercase hyphenated form"
            raise RefusedError(self._refused("invalid_prompt_id", "prompt_id must be a valid UUID", advice, {}))
        graph: Any = body.get("prompt")
        if wrong := graphs.refusal_of(graph):
            raise RefusedError(self._refused(*wrong, {}))
        bad, wanted = graphs.complaints(graph), graphs.outputs_of(graph)
        kept = [] if bad.keys() - set(wanted) else [node for node in wanted if node not in bad]
        if not kept:
            words = ("prompt_outputs_failed_validation", "Prompt outputs failed validation", "")
            raise RefusedError(self._refused(*words, bad))
        number = float(body.get("number", next(self._numbers) * (-1 if body.get("front") else 1)))
        details = {"number": number, "graph": graph, "kept": kept, "client_id": body.get("client_id")}
        draft = Draft(self.name, "prompt", body, graphs.text_of(graph), details)
        return await self.submit(request, draft, job_id, lambda job: self._accepted(job, bad))

    def _accepted(self, job: Job, bad: dict[str, Any]) -> web.Response:
        """Bad outputs are dropped under a good code; the fault does so with the last of the graph's."""
        if "node_errors" in job.fates:
            last = job.details["kept"][-1]
            job.details["kept"] = job.details["kept"][:-1] or [last]
            bad = graphs.complaint_about(job.details["graph"], last)
        return reply({"prompt_id": job.id, "number": job.details["number"], "node_errors": bad})

    # The queue and the history

    def _in(self, *phases: Phase) -> list[Job]:
        now, known = time.time(), self.world.purchases
        return [job for job in known.of(self.name) if known.knows(job) and job.glance(now) in phases]

    async def _remaining(self, request: web.Request) -> web.StreamResponse:
        return await self.catalog(request, reply({"exec_info": {"queue_remaining": self._queue_remaining()}}))

    def _queue_remaining(self) -> int:
        return len(self._in(Phase.QUEUED, Phase.RUNNING))

    async def _queue(self, request: web.Request) -> web.StreamResponse:
        pending = [_item(job) for job in self._in(Phase.QUEUED)]
        heapq.heapify(pending)
        running = [_item(job) for job in self._in(Phase.RUNNING)]
        return await self.catalog(request, reply({"queue_running": running, "queue_pending": pending}))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        body = await json_object(request) or {}
        for job in self._in(Phase.QUEUED):
            if body.get("clear") or job.id in body.get("delete", []):
                self.world.purchases.forget(job)
        return await self.catalog(request, web.Response())

    async def _interrupt(self, request: web.Request) -> web.StreamResponse:
        """Without an id it stops whatever runs."""
        job_id = (await json_object(request) or {}).get("prompt_id")
        running = [job for job in self._in(Phase.RUNNING) if job_id in (None, job.id)]
        for job in running[:1]:
            job.stop(time.time())
        return await self.catalog(request, web.Response())

    async def _histories(self, request: web.Request) -> web.StreamResponse:
        now, ended = time.time(), self._in(*_ENDED)
        return await self.catalog(request, reply({job.id: _run(job, job.glance(now)) for job in ended}))

    async def _history(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None, phase: Phase) -> web.Response:
            return reply({job.id: _run(job, phase)} if job and phase in _ENDED else {})

        return await self.poll(request, self.job(request.match_info["id"]), answer)

    # The jobs API

    async def _job(self, request: web.Request) -> web.StreamResponse:
        job = self.job(request.match_info["id"])
        if self._is_older(job):
            return web.Response(text="404: Not Found", status=404)

        def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is None or phase is Phase.MISSING:
                return reply({"error": "Job not found"}, 404)
            return reply(self._shown(job, phase) | {"outputs": _outputs(job, phase)})

        return await self.poll(request, job, answer)

    async def _jobs(self, request: web.Request) -> web.StreamResponse:
        now, known = time.time(), self.world.purchases
        shown = [self._shown(job, job.glance(now)) for job in known.of(self.name) if known.knows(job)]
        wanted = [word for word in request.query.get("status", "").split(",") if word]
        jobs = [job for job in reversed(shown) if not wanted or job["status"] in wanted]
        pages = {"offset": 0, "limit": None, "total": len(jobs), "has_more": False}
        return await self.catalog(request, reply({"jobs": jobs, "pagination": pages}))

    def _shown(self, job: Job, phase: Phase) -> dict[str, Any]:
        status = "cancelled" if phase is Phase.FAILED and "interrupted" in job.fates else _STATUS.get(phase, "pending")
        shown = {"id": job.id, "status": status, "priority": job.details["number"]}
        shown |= {"create_time": int(job.accepted_at * 1000), "outputs_count": len(_outputs(job, phase))}
        return shown | ({"execution_error": _exception(job)} if status == "failed" else {})

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        """An interrupt of this job alone, or its way out of the queue; false where there is nothing to stop."""
        job, now = self.job(request.match_info["id"]), time.time()
        if self._is_older(job):
            return web.Response(text="405: Method Not Allowed", status=405)
        phase = job.glance(now) if job else Phase.MISSING
        if job and phase is Phase.RUNNING:
            job.stop(now)
        elif job and phase is Phase.QUEUED:
            self.world.purchases.forget(job)
        cancelled = phase in (Phase.RUNNING, Phase.QUEUED)
        return await self.catalog(request, reply({"cancelled": cancelled}))

    def _is_older(self, job: Job | None) -> bool:
        """Whether this server is to be one from before the jobs API."""
        return "older_server" in (job.fates if job else [rule.fault for rule in self.world.rules.rules])

    # Files and events

    async def _view(self, request: web.Request) -> web.StreamResponse:
        name = request.query.get("filename", "")
        if not name or ".." in name or name.startswith("/"):
            return web.Response(status=403 if name else 400)
        job_id, _, rest = name.partition("_")
        job, file_format = self.job(job_id), rest.rpartition(".")[2]
        if job is None or not _has(job, name, request.query.get("type", "output")):
            return web.Response(status=404)
        if content_type := graphs.CONTENT_TYPES.get(file_format):
            made = graphs.sound() if file_format == "wav" else graphs.body()
            return await self.content(request, job, made, content_type)
        return await self.file(request, job, self.world.order(f"{job.digest}/{rest}", file_format))

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        client_id = request.query.get("clientId", "")

        def own() -> list[Job]:
            return [job for job in self.world.purchases.of(self.name) if job.details["client_id"] == client_id]

        return await listen(request, client_id, own, self._queue_remaining)


def _is_canonical(job_id: Any) -> bool:
    try:
        return isinstance(job_id, str) and str(uuid.UUID(job_id)) == job_id
    except ValueError:
        return False


def _item(job: Job) -> list[Any]:
    return [job.details["number"], job.id, job.details["graph"], {}, job.details["kept"]]


def _run(job: Job, phase: Phase) -> dict[str, Any]:
    """An entry of the history."""
    return {"prompt": _item(job), "outputs": _outputs(job, phase), "status": _ended_status(job, phase), "meta": {}}


def _outputs(job: Job, phase: Phase) -> dict[str, Any]:
    return graphs.outputs(job.id, job.details["graph"], job.details["kept"]) if phase is Phase.DONE else {}


def _has(job: Job, name: str, folder: str) -> bool:
    lists = [entries for node in _outputs(job, Phase.DONE).values() for entries in node.values()]
    files = [it for entries in lists for it in entries if isinstance(it, dict)]
    return any(it["filename"] == name and it["type"] == folder for it in files)


def _exception(job: Job) -> dict[str, Any]:
    return {**_EXCEPTION, "prompt_id": job.id, "exception_message": job.failure}


def _ended_status(job: Job, phase: Phase) -> dict[str, Any]:
    """Success, an exception in a node, or an interrupt, by the last message."""
    last: tuple[str, dict[str, Any]] = ("execution_success", {"prompt_id": job.id})
    if "interrupted" in job.fates:
        last = ("execution_interrupted", {"prompt_id": job.id, "node_id": "3"})
    elif phase is Phase.FAILED:
        last = ("execution_error", _exception(job))
    good = last[0] == "execution_success"
    messages = [["execution_start", {"prompt_id": job.id}], list(last)]
    return {"status_str": "success" if good else "error", "completed": good, "messages": messages}
