"""Loads the Lua scripts: what they share in front of each, sent once per server, then called by digest."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import redis

from bide.redis_errors import away, is_away


@functools.cache
def source(name: str) -> str:
    """The whole text of a script, such as `job/step` or `bulk/open`."""
    bide = files("bide")
    scripts, (folder, file) = bide / "ledger" / "scripts", name.split("/")
    own = bide / "bulk" / "scripts" if folder == "bulk" else scripts / folder
    parts = (scripts / "include" / "prelude.lua", scripts / "include" / "line.lua", own / f"{file}.lua")
    return "".join(part.read_text() for part in parts)


class Scripts:
    """Runs scripts on one server."""

    def __init__(self, server: redis.Redis) -> None:
        self._server = server
        self._scripts: dict[str, Any] = {}

    def run(self, name: str, keys: Sequence[str], args: Sequence[str | float]) -> Any:
        """Run one script; raises `LedgerAwayError` when Redis stays away."""
        script = self._scripts.get(name) or self._scripts.setdefault(name, self._server.register_script(source(name)))
        try:
            return script(keys=keys, args=args)
        except redis.RedisError as error:
            if not is_away(error):
                raise
            raise away(error) from error
