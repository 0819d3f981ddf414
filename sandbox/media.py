"""The files of results over HTTP, and what ordered faults make of them."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from sandbox.answers import page
from sandbox.pictures import vast_png
from sandbox.rules import Rule
from sandbox.trouble import drip, hang_up

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"

#: A query as stores sign it: other letters for the same octets are another query.
_SIGNATURE = "X-Amz-Credential=AK%2F20261130%2Fs3&X-Amz-Date=12%3A00&X-Amz-Signature=%7Ea%27b%2cc%3D%3D&v="

_ENDLESS_PIECE = bytes(64 * 1024)

#: Pause between the pieces of an endless file, so that it does not eat the machine [seconds].
_ENDLESS_PAUSE_SECONDS = 0.002


def playlist(film_url: str) -> bytes:
    """An HLS playlist: text that names the pieces of a film, not the film."""
    lines = ("#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXTINF:2.0,", film_url, "#EXT-X-ENDLIST")
    return "\n".join((*lines, "")).encode()


def no_such_file() -> web.Response:
    """What an object store says of a file that is not there."""
    body = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>\n'
    return web.Response(text=body, status=404, content_type="application/xml")


async def deliver(request: web.Request, content: bytes, content_type: str, rule: Rule | None) -> web.StreamResponse:
    """The file, or what the rule makes of it."""
    whole = web.Response(body=content, headers={"Content-Type": content_type})
    spoil = _SPOIL.get(rule.fault) if rule is not None else None
    return whole if rule is None or spoil is None else await spoil(rule, request, whole)


async def stream(
    request: web.Request, pieces: Iterable[bytes], content_type: str, total_bytes: int
) -> web.StreamResponse:
    """A file too large to hold, piece by piece."""
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.content_length = total_bytes
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


async def _partly(request: web.Request, whole: web.Response, *, sent: bytes, announced: int) -> web.StreamResponse:
    """Announce one length, send another, hang up."""
    response = web.StreamResponse(headers={"Content-Type": whole.headers["Content-Type"]})
    response.content_length = announced
    await response.prepare(request)
    await response.write(sent)
    hang_up(request)
    return response


def _content(whole: web.Response) -> bytes:
    return whole.body if isinstance(whole.body, bytes) else b""


def _half(whole: web.Response) -> bytes:
    return _content(whole)[: len(_content(whole)) // 2]


async def _html(_rule: Rule, _request: web.Request, _whole: web.Response) -> web.StreamResponse:
    return page(200, "This link has expired")


async def _empty(_rule: Rule, _request: web.Request, whole: web.Response) -> web.StreamResponse:
    return web.Response(body=b"", headers={"Content-Type": whole.headers["Content-Type"]})


async def _truncated(_rule: Rule, request: web.Request, whole: web.Response) -> web.StreamResponse:
    return await _partly(request, whole, sent=_half(whole), announced=len(_content(whole)))


async def _cut(_rule: Rule, _request: web.Request, whole: web.Response) -> web.StreamResponse:
    return web.Response(body=_half(whole), headers={"Content-Type": whole.headers["Content-Type"]})


async def _wrong_length(_rule: Rule, request: web.Request, whole: web.Response) -> web.StreamResponse:
    return await _partly(request, whole, sent=_content(whole), announced=len(_content(whole)) + 1000)


async def _playlist(_rule: Rule, request: web.Request, _whole: web.Response) -> web.StreamResponse:
    return web.Response(body=playlist(f"{request.path}.ts"), headers={"Content-Type": PLAYLIST_TYPE})


async def _redirect_to(rule: Rule, _request: web.Request, _whole: web.Response) -> web.StreamResponse:
    return web.Response(status=int(rule.parameters.get("status", 302)), headers={"Location": str(rule.value)})


async def _redirect_loop(_rule: Rule, request: web.Request, _whole: web.Response) -> web.StreamResponse:
    turn = int(request.query.get("turn", "0")) + 1
    return web.Response(status=302, headers={"Location": f"{request.path}?turn={turn}"})


async def _endless(_rule: Rule, request: web.Request, whole: web.Response) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": whole.headers["Content-Type"]})
    await response.prepare(request)
    await response.write(_content(whole))
    while True:
        await response.write(_ENDLESS_PIECE)
        await asyncio.sleep(_ENDLESS_PAUSE_SECONDS)


async def _gzip_bomb(rule: Rule, request: web.Request, whole: web.Response) -> web.StreamResponse:
    """The picture and then zeros without end, packed a thousandfold."""
    headers = {"Content-Type": whole.headers["Content-Type"], "Content-Encoding": "gzip"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    packer, block = zlib.compressobj(wbits=31), bytes(1024 * 1024)
    await response.write(packer.compress(_content(whole)))
    for _ in range(int(rule.number) // len(block)):
        await response.write(packer.compress(block))
        await asyncio.sleep(0)
    await response.write(packer.flush())
    await response.write_eof()
    return response


async def _pixel_bomb(rule: Rule, _request: web.Request, _whole: web.Response) -> web.StreamResponse:
    return web.Response(body=vast_png(int(rule.number)), headers={"Content-Type": "image/png"})


async def _wrong_type(_rule: Rule, _request: web.Request, whole: web.Response) -> web.StreamResponse:
    return web.Response(body=_content(whole), headers={"Content-Type": "text/html"})


async def _missing(_rule: Rule, _request: web.Request, _whole: web.Response) -> web.StreamResponse:
    return no_such_file()


async def _missing_once(rule: Rule, request: web.Request, whole: web.Response) -> web.StreamResponse:
    if request.path in rule.had:
        return whole
    rule.had.add(request.path)
    return no_such_file()


async def _labelled(rule: Rule, _request: web.Request, whole: web.Response) -> web.StreamResponse:
    """The plain file under a Content-Encoding that means nothing."""
    headers = {"Content-Type": whole.headers["Content-Type"], "Content-Encoding": str(rule.value)}
    return web.Response(body=_content(whole), headers=headers)


async def _base64_file(_rule: Rule, _request: web.Request, whole: web.Response) -> web.StreamResponse:
    """A text file: dreambooth's addresses end in `.base64` then."""
    text = b"data:image/png;base64," + base64.urlsafe_b64encode(_content(whole))
    return web.Response(body=text, headers={"Content-Type": "text/plain"})


async def _code(rule: Rule, _request: web.Request, whole: web.Response) -> web.StreamResponse:
    return web.Response(body=_content(whole), status=int(rule.number), headers={"Content-Type": "image/png"})


async def _signed(_rule: Rule, request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Sends the client on to an address that is signed as it is written, and refuses it in any other spelling."""
    signed = f"{request.path}?{_SIGNATURE}"
    if not request.query_string:
        return web.Response(status=307, headers={"Location": f"http://{request.host}{signed}"})
    return whole if request.raw_path == signed else web.Response(status=403, text="SignatureDoesNotMatch")


_Spoil = Callable[[Rule, web.Request, web.Response], Awaitable[web.StreamResponse]]

_SPOIL: dict[str, _Spoil] = {
    "html": _html,
    "empty": _empty,
    "truncated": _truncated,
    "cut": _cut,
    "wrong_length": _wrong_length,
    "playlist": _playlist,
    "redirect_to": _redirect_to,
    "redirect_loop": _redirect_loop,
    "endless": _endless,
    "gzip_bomb": _gzip_bomb,
    "pixel_bomb": _pixel_bomb,
    "wrong_type": _wrong_type,
    "404_once": _missing_once,
    "labelled": _labelled,
    "base64_file": _base64_file,
    "code": _code,
    "signed": _signed,
    "not_found": _missing,
    "slow_body": drip,
}
