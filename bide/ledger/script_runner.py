"""Runs scripts: the text of each is sent once per server, then it is called by its digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from bide.ledger.safety import Safety, add_announced, add_wait, announced_safety, check_acknowledged
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
            self._add(pipeline, prefix, script, now)
        with _passing_errors():
            replies = pipeline.execute(raise_on_error=False)
        return [
            self._reply(reply, prefix, script, now) for (prefix, script), reply in zip(scripts, replies, strict=True)
        ]

    def run_safely(
        self, prefixed: Iterable[tuple[str, Script]], safety: Safety, *, now: str = ""
    ) -> tuple[list[Any], Safety]:
        """Run scripts in one round trip that ends once replicas have acknowledged all that they wrote.

        The replies in their order, errors of Redis among them, and the safety that the workers have announced there.
        Raises `NotReplicatedError` with the replies where too few replicas answered in time, and `LedgerAwayError` when
        Redis stays away.
        """
        scripts, retry = list(prefixed), self._server.get_retry()

        def run() -> tuple[list[Any], Safety, Any]:
            return self._waited_for(scripts, safety, now)

        with _passing_errors():
            replies, announced, acknowledged = retry.call_with_retry(run, lambda _: None) if retry else run()
        if acknowledged is not None:
            check_acknowledged(acknowledged, safety, replies)
        return [away(one) if _is_error(one) and is_away(one) else one for one in replies], announced

    def _waited_for(
        self, scripts: Sequence[tuple[str, Script]], safety: Safety, now: str
    ) -> tuple[list[Any], Safety, Any]:
        """The replies of scripts, what is announced, and the reply of the WAIT behind them; None without one.

        All of it goes over one connection. A server that lacks a script gets it, and all are run anew: each one does
        nothing the second time. What passes is raised where safety is asked for, so that all of it is tried again.
        """
        while True:
            pipeline = self._server.pipeline(transaction=False)
            add_announced(pipeline)
            for prefix, script in scripts:
                self._add(pipeline, prefix, script, now)
            if safety.replicas and scripts:
                add_wait(pipeline, scripts[0][0], safety)
            announced, *replies = pipeline.execute(raise_on_error=False)
            acknowledged = replies[-1] if len(replies) > len(scripts) else None
            del replies[len(scripts) :]
            passing = [one for one in replies if _is_error(one) and is_away(one)]
            if passing and safety.replicas:
                raise passing[0]
            lacking = {type(script) for (_, script), one in zip(scripts, replies, strict=True) if _lacks(one)}
            if not lacking:
                return replies, announced_safety(announced, before=safety), acknowledged
            for script_type in lacking:
                self._server.script_load(script_type.text())

    def _add(self, pipeline: Any, prefix: str, script: Script, now: str) -> None:
        keys = [prefix, *script.keys]
        pipeline.evalsha(self._registered_of(script).sha, len(keys), *keys, now, *script.arguments)

    def _reply(self, reply: Any, prefix: str, script: Script, now: str) -> Any:
        """The reply of a script; one that Redis did not know is sent and run now."""
        if _lacks(reply):
            return self.run(prefix, script, now=now)
        return away(reply) if _is_error(reply) and is_away(reply) else reply

    def _registered_of(self, script: Script) -> Any:
        return self._registered.get(type(script)) or self._register(type(script))

    def _register(self, script: type[Script]) -> Any:
        return self._registered.setdefault(script, self._server.register_script(script.text()))


def _is_error(reply: Any) -> bool:
    return isinstance(reply, redis.RedisError)


def _lacks(reply: Any) -> bool:
    """Whether a reply says that the server does not have the script."""
    return isinstance(reply, redis.exceptions.NoScriptError)


@contextmanager
def _passing_errors() -> Iterator[None]:
    """Raise the errors of Redis that pass as `LedgerAwayError`."""
    try:
        yield
    except redis.RedisError as error:
        if not is_away(error):
            raise
        raise away(error) from error
