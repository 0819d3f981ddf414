"""Spoilt answers: what an ordered fault does to a request that is not for a file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.answers import page
from sandbox.faults import ODD_WORD
from sandbox.rules import Rule

#: A provider's own way to refuse: code and text to an answer.
Refusal = Callable[[int, str], web.Response]

#: Codes that come from the gateway, as a page, rather than from the provider.
_GATEWAY = {502: "502 Bad Gateway", 504: "504 Gateway Time-out"}

#: How often a slow body sends something [seconds].
_DRIP_SECONDS = 0.05


async def instead(rule: Rule, request: web.Request, refusal: Refusal) -> web.StreamResponse | None:
    """What is answered before the provider has even seen the request; None: it goes on."""
    match rule.fault:
        case "slow":
            await asyncio.sleep(rule.number)
            return None
        case "status":
            return _by_code(rule, refusal)
        case "refused":
            return refusal(402, str(rule.value))
        case "edge_page":
            return page(403, "error code: 1010")
        case "drop_before":
            return hang_up(request)
        case "html_under_200":
            return page(200, "Just a moment...")
    return None


async def afterwards(rule: Rule, request: web.Request, response: web.Response) -> web.StreamResponse:
    """What becomes of the true answer."""
    spoil = _SPOIL.get(rule.fault)
    return response if spoil is None else await spoil(rule, request, response)


def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without a word."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def _by_code(rule: Rule, refusal: Refusal) -> web.Response:
    status = int(rule.number)
    response = page(status, _GATEWAY[status]) if status in _GATEWAY else refusal(status, _words(status))
    response.set_status(status)
    if "retry_after" in rule.parameters:
        response.headers["Retry-After"] = f"{float(rule.parameters['retry_after']):g}"
    return response


def _words(status: int) -> str:
    words = {401: "invalid credentials", 402: "insufficient credits", 403: "not allowed", 429: "too many requests"}
    return words.get(status, "internal error" if status >= 500 else "bad request")


async def _drop(_rule: Rule, request: web.Request, _response: web.Response) -> web.StreamResponse:
    return hang_up(request)


async def _gateway_timeout(_rule: Rule, _request: web.Request, _response: web.Response) -> web.StreamResponse:
    return page(504, _GATEWAY[504])


async def _hang(rule: Rule, request: web.Request, _response: web.Response) -> web.StreamResponse:
    await asyncio.sleep(rule.number)
    return hang_up(request)


async def _garbage(_rule: Rule, _request: web.Request, response: web.Response) -> web.StreamResponse:
    return web.Response(body=b"\x00\xff{]" * 16, status=response.status, content_type="application/json")


async def _half(_rule: Rule, _request: web.Request, response: web.Response) -> web.StreamResponse:
    body = _body(response)
    return web.Response(body=body[: len(body) // 2], status=response.status, content_type="application/json")


async def drip(rule: Rule, request: web.Request, response: web.Response) -> web.StreamResponse:
    """Send a body at so many bytes per second."""
    body = _body(response)
    slow = web.StreamResponse(status=response.status, headers={"Content-Type": response.headers["Content-Type"]})
    slow.content_length = len(body)
    await slow.prepare(request)
    step = max(1, round(rule.number * _DRIP_SECONDS))
    for start in range(0, len(body), step):
        await slow.write(body[start : start + step])
        await asyncio.sleep(_DRIP_SECONDS if rule.number * _DRIP_SECONDS >= 1 else 1 / rule.number)
    await slow.write_eof()
    return slow


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


async def _odd_word(rule: Rule, _request: web.Request, response: web.Response) -> web.StreamResponse:
    word = str(rule.value)
    body = re.sub(ODD_WORD, lambda _: word, _body(response).decode(), flags=re.IGNORECASE)  # PhotoGPT varies the case
    return web.Response(text=body, status=response.status, content_type="application/json")


_Spoil = Callable[[Rule, web.Request, web.Response], Awaitable[web.StreamResponse]]

_SPOIL: dict[str, _Spoil] = {
    "accept_then_drop": _drop,
    "accept_then_504": _gateway_timeout,
    "accept_then_hang": _hang,
    "accept_then_garbage": _garbage,
    "half_json": _half,
    "unknown_status": _odd_word,
    "slow_body": drip,
}
