"""The answers that providers share: JSON, and the HTML of proxies in front of them."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web


class RefusedError(Exception):
    """A request ends here; carries what it is answered."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def reply(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return raw_json(json.dumps(body, ensure_ascii=False).encode(), status)


def raw_json(body: bytes, status: int = 200) -> web.Response:
    """JSON that is already written."""
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json"})


def unprocessable(*problems: tuple[str, str]) -> web.Response:
    """FastAPI's 422: (field, what is wrong with it), fields with dots for nesting."""
    detail = [
        {
            "type": "missing" if "required" in message else "value_error",
            "loc": ["body", *name.split(".")],
            "msg": message,
        }
        for name, message in problems
    ]
    return reply({"detail": detail}, 422)


def page(status: int, title: str) -> web.Response:
    """An HTML page as a gateway writes it."""
    text = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center><hr></body></html>\n"
    return web.Response(text=text, status=status, content_type="text/html")


async def json_object(request: web.Request) -> dict[str, Any] | None:
    """The body as a JSON object; None if it is anything else."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
