"""Thumbnails for the list of jobs, made by a process of its own: originals are large, and may be hostile."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import OrderedDict
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import structlog

from bide.contract import Output
from bide.storage import StorageOptions

log = structlog.get_logger()

#: Thumbnails that are kept, in all [bytes], and how many may wait to be made.
KEPT_BYTES, MOST_WAITING = 8 * 1024 * 1024, 64

#: How long the process stays after its last thumbnail, and what it may take to make one [seconds].
IDLE_SECONDS, LONGEST_SECONDS = 60.0, 30.0

#: What the process is (`workers/pages/thumbnailer.py`): it reads a line for each output, and ends with its input.
COMMAND = (sys.executable, "-m", "workers.pages.thumbnailer")


class Thumbnails:
    """Makes thumbnails as WebP, one at a time, and keeps the latest."""

    def __init__(self, options: StorageOptions) -> None:
        self._options = options
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0
        self._process: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def of(self, output: Output) -> bytes | None:
        """The thumbnail of an output; None where it has none, or none now."""
        if output.uri in self._kept:
            return self._again(output.uri)
        if not output.content_type.startswith("image/") or self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return self._again(output.uri) if output.uri in self._kept else await self._made(output)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the process, also where a hostile file keeps it busy."""
        if self._idle:
            self._idle.cancel()
        if self._process:
            with suppress(ProcessLookupError):
                self._process.kill()
        self._process = self._idle = None

    async def _made(self, output: Output) -> bytes | None:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                thumbnail = await self._asked(output)
        except (TimeoutError, OSError, ValueError, EOFError) as error:
            log.warning("pages.no_thumbnail", uri=output.uri, reason=type(error).__name__)
            self.close()
            return None
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.close)
        if thumbnail is not None:
            self._keep(output.uri, thumbnail)
        return thumbnail or None

    async def _asked(self, output: Output) -> bytes | None:
        """What the process answers: a length and so many bytes; none of them for a file that has no thumbnail."""
        if self._idle:
            self._idle.cancel()
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(*COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
            self._tell(asdict(self._options))
        self._tell(output.model_dump())
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        size = int(await self._process.stdout.readline())
        return None if size < 0 else await self._process.stdout.readexactly(size)

    def _tell(self, fields: dict[str, Any]) -> None:
        assert self._process is not None  # noqa: S101 - the caller has started it
        assert self._process.stdin is not None  # noqa: S101 - it was started with a pipe
        self._process.stdin.write(json.dumps(fields).encode() + b"\n")

    def _again(self, uri: str) -> bytes | None:
        self._kept.move_to_end(uri)
        return self._kept[uri] or None

    def _keep(self, uri: str, thumbnail: bytes) -> None:
        self._kept[uri] = thumbnail
        while sum(map(len, self._kept.values())) > KEPT_BYTES:
            self._kept.popitem(last=False)
