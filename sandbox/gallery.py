"""Every file a job results in, made once and kept for a while."""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from sandbox.padding import pad
from sandbox.pictures import Order, paint
from sandbox.video import film

#: What is kept at most, all files together [bytes].
KEPT_BYTES = 96 * 1024 * 1024

#: The smallest edge a picture is reduced to when it must fit a number of bytes [pixels].
_SMALLEST_EDGE = 64

_Key = tuple[str, Order]


class Gallery:
    """Draws in one thread of its own, so that polls go on meanwhile; never draws the same thing twice at once.

    With `result_bytes` every order of one size and format gets the same file, padded to about that many bytes:
    a load test should measure the system under test, not this painter.
    """

    def __init__(self, *, result_bytes: int | None = None, kept_bytes: int = KEPT_BYTES) -> None:
        self._result_bytes = result_bytes
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()
        self._size = 0
        self._making: dict[_Key, asyncio.Future[bytes]] = {}
        self._painter = ThreadPoolExecutor(1, "painter")
        self.drawn = 0

    async def file(self, order: Order) -> bytes:
        """The file as it is; format "mp4" is a film."""
        order = self._shared(order)
        return await self._get(("file", order), partial(make, order, self._result_bytes))

    async def base64(self, order: Order) -> bytes:
        order = self._shared(order)
        if ("base64", order) in self._kept:
            return self._recalled(("base64", order))
        content = await self.file(order)
        return await self._get(("base64", order), partial(base64.b64encode, content))

    def clear(self) -> None:
        self._kept.clear()
        self._size = 0

    def close(self) -> None:
        self._painter.shutdown(wait=False, cancel_futures=True)

    @property
    def size(self) -> int:
        """What is kept now [bytes]."""
        return self._size

    def _shared(self, order: Order) -> Order:
        return order if self._result_bytes is None else replace(order, digest="load")

    async def _get(self, key: _Key, work: Callable[[], bytes]) -> bytes:
        if key in self._kept:
            return self._recalled(key)
        if key not in self._making:
            self._making[key] = asyncio.ensure_future(self._make(key, work))
        return await asyncio.shield(self._making[key])

    async def _make(self, key: _Key, work: Callable[[], bytes]) -> bytes:
        try:
            content = await asyncio.get_running_loop().run_in_executor(self._painter, work)
        finally:
            del self._making[key]
        self.drawn += 1
        self._keep(key, content)
        return content

    def _recalled(self, key: _Key) -> bytes:
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: _Key, content: bytes) -> None:
        self._kept[key] = content
        self._size += len(content)
        while self._size > self._kept_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)


def make(order: Order, result_bytes: int | None) -> bytes:
    """The file of an order; where a size is wanted, the picture is reduced until it fits, then padded."""
    if order.format == "mp4":
        content = film(order.digest)
        return pad(content, "mp4", result_bytes) if result_bytes else content
    content = paint(order)
    if not result_bytes:
        return content
    while len(content) > result_bytes and min(order.width, order.height) > _SMALLEST_EDGE:
        order = replace(order, width=order.width // 2, height=order.height // 2)
        content = paint(order)
    return pad(content, order.format, result_bytes)
