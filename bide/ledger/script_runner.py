"""Runs scripts: the text of each is sent once per server, then it is called by its digest."""

from __future__ import annotations

from typing import Any

import redis

from bide.ledger.script import Script
from bide.redis_errors import away, is_away


class Scripts:
    """Runs scripts on one server."""

    def __init__(self, server: redis.Redis) -> None:
        self._server = server
        self._registered: dict[type[Script], Any] = {}

    def run(self, prefix: str, script: Script, *, now: str = "") -> Any:
        """Run one script on the keys under `prefix`; raises `LedgerAwayError` when Redis stays away.

        `now` replaces Redis's own time in tests [seconds since the epoch].
        """
        registered = self._registered.get(type(script)) or self._register(type(script))
        try:
            return registered(keys=[prefix, *script.keys], args=[now, *script.arguments])
        except redis.RedisError as error:
            if not is_away(error):
                raise
            raise away(error) from error

    def _register(self, script: type[Script]) -> Any:
        return self._registered.setdefault(script, self._server.register_script(script.text()))
