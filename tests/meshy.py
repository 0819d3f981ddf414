"""A double of Meshy's text to image, written from its documentation alone; the API itself was never called.

https://docs.meshy.ai/api/text-to-image (requests, the task object), /api/errors and /api/rate-limits.
`python -m tests.meshy` serves it for a walk by hand.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from aiohttp import web

from tests.media import png

#: The key of the documentation's test mode. Any other is refused.
KEY = "msy_dummy_api_key_for_test_mode_12345678"

#: Models with their credits, and the ratios that each takes.
CREDITS = {"nano-banana": 3, "nano-banana-2": 6, "nano-banana-pro": 9, "gpt-image-2": 9}
RATIOS = {"gpt-image-2": ("1:1", "3:2", "2:3")}
USUAL_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4")

#: The states of a task, one for each poll; the last one stays.
STATES = ("PENDING", "IN_PROGRESS", "SUCCEEDED")


class Meshy:
    """The double: its tasks, and what was asked of it."""

    def __init__(self, queue: int = 10) -> None:
        self.asked: list[str] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.polls: dict[str, int] = {}
        self._queue = queue

    def app(self) -> web.Application:
        """Its server."""
        app = web.Application(middlewares=[self._entrance])
        app.router.add_post("/openapi/v1/text-to-image", self._create)
        app.router.add_get("/openapi/v1/text-to-image/{id}", self._retrieve)
        app.router.add_get("/assets/{id}/image-{number}.png", self._image)
        return app

    @web.middleware
    async def _entrance(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """All errors are JSON with a message; all calls but downloads need the key."""
        self.asked.append(f"{request.method} {request.path}")
        if not request.path.startswith("/assets/") and request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "Authentication failed. Please check your API key.")
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            return _error(error.status, error.reason)
        return response

    async def _create(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.text())
        if problem := _problem(asked):
            return _error(400, problem)
        running = sum(polls < len(STATES) for polls in self.polls.values())
        if running >= self._queue:
            return _error(429, "NoMoreConcurrentTasks")
        task = str(uuid.uuid4())
        self.tasks[task], self.polls[task] = asked, 0
        return web.json_response({"result": task}, status=202)

    async def _retrieve(self, request: web.Request) -> web.Response:
        task = request.match_info["id"]
        if task not in self.tasks:
            return _error(404, "Task not found")
        state = STATES[min(self.polls[task], len(STATES) - 1)]
        self.polls[task] += 1
        return web.json_response(self._object(request, task, state))

    def _object(self, request: web.Request, task: str, state: str) -> dict[str, Any]:
        """The task object; what is not there yet is 0 or empty."""
        asked, now = self.tasks[task], int(time.time() * 1000)
        ended = state == "SUCCEEDED"
        pictures = range(3 if asked.get("generate_multi_view") else 1)
        assets = f"http://{request.host}/assets/{task}"
        return {
            "id": task,
            "type": "text-to-image",
            "ai_model": asked["ai_model"],
            "prompt": asked["prompt"],
            "status": state,
            "progress": {"PENDING": 0, "IN_PROGRESS": 40, "SUCCEEDED": 100}[state],
            "created_at": now,
            "started_at": 0 if state == "PENDING" else now,
            "finished_at": now if ended else 0,
            "expires_at": now + 3 * 86_400_000,
            "preceding_tasks": 7 if state == "PENDING" else 0,
            "image_urls": [f"{assets}/image-{number}.png" for number in pictures] if ended else [],
            "task_error": {"message": ""},
            "consumed_credits": CREDITS[asked["ai_model"]],
        }

    async def _image(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(body=png(), content_type="image/png")


def _problem(asked: dict[str, Any]) -> str:
    """What the documentation lists under 400."""
    model, ratio = asked.get("ai_model"), asked.get("aspect_ratio")
    if not (model and asked.get("prompt")):
        return "Missing parameter: ai_model and prompt are required"
    if model not in CREDITS or (ratio and ratio not in RATIOS.get(model, USUAL_RATIOS)):
        return "Invalid parameter: ai_model or aspect_ratio"
    if ratio and asked.get("generate_multi_view"):
        return "Conflict: generate_multi_view and aspect_ratio cannot be used simultaneously"
    return ""


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


if __name__ == "__main__":
    web.run_app(Meshy().app(), host="127.0.0.1", port=8077)
