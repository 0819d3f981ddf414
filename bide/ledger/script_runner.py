"""Runs scripts: the text of each is sent once per server, then it is called by its digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
        registered = self._registered_of(script)
        with _passing_errors():
            return registered(keys=[prefix, *script.keys], args=[now, *script.arguments])

    def run_many(self, prefixed: Iterable[tuple[str, Script]], *, now: str = "") -> list[Any]:
        """Run scripts in one round trip, each by itself. The replies in their order, errors of Redis among them.

        Raises `LedgerAwayError` when Redis stays away: then nothing is known of any of them.
        """
        scripts = list(prefixed)
        # Not redis-py's way for scripts in a pipeline: it asks for SCRIPT EXISTS, which users of Redis may lack.
        pipeline = self._server.pipeline(transaction=False)
        for prefix, script in scripts:
            keys = [prefix, *script.keys]
            pipeline.evalsha(self._registered_of(script).sha, len(keys), *keys, now, *script.arguments)
        with _passing_errors():
            replies = pipeline.execute(raise_on_error=False)
        return [
            self._reply(reply, prefix, script, now) for (prefix, script), reply in zip(scripts, replies, strict=True)
        ]

    def _reply(self, reply: Any, prefix: str, script: Script, now: str) -> Any:
        """The reply of a script; one that Redis did not know is sent and run now."""
        if isinstance(reply, redis.exceptions.NoScriptError):
            return self.run(prefix, script, now=now)
        return away(reply) if isinstance(reply, redis.RedisError) and is_away(reply) else reply

    def _registered_of(self, script: Script) -> Any:
        return self._registered.get(type(script)) or self._register(type(script))

    def _register(self, script: type[Script]) -> Any:
        return self._registered.setdefault(script, self._server.register_script(script.text()))


@contextmanager
def _passing_errors() -> Iterator[None]:
    """Raise the errors of Redis that pass as `LedgerAwayError`."""
    try:
        yield
    except redis.RedisError as error:
        if not is_away(error):
            raise
        raise away(error) from error
