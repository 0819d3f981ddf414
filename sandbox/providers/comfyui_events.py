"""ComfyUI's events: what a listener hears of its own jobs, and of the queue."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

from sandbox.jobs import Job, Phase

#: How often the jobs are looked at [seconds].
_LOOK_SECONDS = 0.02

_CLOSED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


async def listen(
    request: web.Request, client_id: str, own: Callable[[], list[Job]], remaining: Callable[[], int]
) -> web.StreamResponse:
    """Send events until the listener hangs up; `own` gives its jobs, `remaining` the length of the queue."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await _send(socket, "status", {**_status(remaining()), "sid": client_id})
    seen: dict[str, Phase] = {}
    while not await _hung_up(socket):
        for job in own():
            phase = job.glance(time.time())
            if seen.get(job.id) is phase:
                continue
            seen[job.id] = phase
            for event, data in _events(job, phase):
                await _send(socket, event, {**data, "prompt_id": job.id})
            await _send(socket, "status", _status(remaining()))
    return socket


async def _hung_up(socket: web.WebSocketResponse) -> bool:
    try:
        message = await socket.receive(timeout=_LOOK_SECONDS)
    except TimeoutError:
        return False
    return message.type in _CLOSED


def _events(job: Job, phase: Phase) -> list[tuple[str, dict[str, Any]]]:
    match phase:
        case Phase.RUNNING:
            return [("execution_start", {}), ("executing", {"node": "3"}), ("progress", {"value": 1, "max": 20})]
        case Phase.FAILED if "interrupted" in job.fates:
            return [("execution_interrupted", {"node_id": "3", "node_type": "KSampler"})]
        case Phase.FAILED:
            return [("execution_error", {"node_id": "3", "exception_message": job.failure})]
        case Phase.DONE | Phase.EMPTY:
            return [("executing", {"node": None}), ("execution_success", {})]
    return []


def _status(remaining: int) -> dict[str, Any]:
    return {"status": {"exec_info": {"queue_remaining": remaining}}}


async def _send(socket: web.WebSocketResponse, event: str, data: dict[str, Any]) -> None:
    if not socket.closed:
        await socket.send_json({"type": event, "data": data})
