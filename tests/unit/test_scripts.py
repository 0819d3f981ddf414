"""Scripts on a Redis that refuses, hangs or is away: all of it is `LedgerAwayError`, and in time."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
import redis

from bide.errors import LedgerAwayError
from bide.ledger.connection import PATIENCE_SECONDS, Patience, connect, end_soon
from bide.ledger.script_runner import Scripts
from bide.ledger.scripts.account import Watch
from bide.redis_errors import REFUSALS, RefusedError, is_away, refusal, words_of

OOM = "OOM command not allowed when used memory > 'maxmemory'."


class Refusing(redis.Redis):
    """Answers every command with one error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(host="127.0.0.1", port=1)
        self._error = error

    def execute_command(self, *args: Any, **options: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("refused"),
        redis.TimeoutError("no answer"),
        redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
        redis.exceptions.OutOfMemoryError(
            "command not allowed when used memory > 'maxmemory'. script: 1f, on @user:1."
        ),
        redis.exceptions.MasterDownError("Link with MASTER is down"),
        redis.ResponseError("CLUSTERDOWN The cluster is down"),
        redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        redis.ResponseError("BUSY Redis is busy running a script."),
        redis.ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed"),
        redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
        redis.ResponseError(f"-{OOM} script: 1f, on @user_script:1."),
        redis.ResponseError(f"Error running script (call to f_1f): @user_script:9: @user_script: 9: -{OOM}"),
        redis.exceptions.ExecAbortError(f"Transaction discarded because of: {OOM}"),
    ],
    ids=str,
)
def test_a_redis_that_cannot_now_is_away(error: Exception) -> None:
    """It passes by itself: the job waits, and nobody takes it for a mistake."""
    with pytest.raises(LedgerAwayError):
        Scripts(Refusing(error)).run("k", Watch(lease_seconds=10))


@pytest.mark.parametrize(
    "error",
    [
        redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        redis.ResponseError("BUSYGROUP Consumer Group name already exists"),
        redis.ResponseError("user_script:3: attempt to index a nil value (OOM)"),
        redis.exceptions.NoPermissionError("this user has no permissions"),
    ],
    ids=str,
)
def test_a_mistake_is_not_hidden(error: redis.RedisError) -> None:
    """It would stay one for ever."""
    assert not is_away(error)
    with pytest.raises(type(error)):
        Scripts(Refusing(error)).run("k", Watch(lease_seconds=10))


def test_a_hanging_redis_is_given_up_in_time() -> None:
    """Connected and silent: the time counts once, however deep redis-py nests its retries."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = redis.Redis(
            port=listener.getsockname()[1], socket_timeout=0.1, health_check_interval=1, retry=Patience(0.5)
        )
        begun = time.monotonic()

        with pytest.raises(LedgerAwayError):
            Scripts(client).run("k", Watch(lease_seconds=10))

        assert 0.5 <= time.monotonic() - begun < 1.5
        client.close()


def test_each_command_has_the_whole_patience() -> None:
    """What the last one took is forgotten."""
    patience, attempts = Patience(0.2), []

    def fail() -> None:
        attempts.append(1)
        raise redis.ConnectionError("away")

    for _ in range(2):
        before = len(attempts)
        with pytest.raises(redis.ConnectionError):
            patience.call_with_retry(fail, lambda _: None)
        assert len(attempts) - before > 1


def test_an_ending_process_shortens_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a command that is under way, on whichever connection."""
    monkeypatch.setattr("bide.ledger.connection.ENDING_PATIENCE_SECONDS", 0.2)
    client = connect("redis://127.0.0.1:1/0")
    timer = threading.Timer(0.1, end_soon, [client])
    timer.start()
    begun = time.monotonic()

    with pytest.raises(LedgerAwayError):
        Scripts(client).run("k", Watch(lease_seconds=10))

    assert time.monotonic() - begun < PATIENCE_SECONDS / 2
    timer.join()
    client.close()


def test_the_ledgers_client_is_patient() -> None:
    """A restart of Redis is waited for, also where it first answers LOADING."""
    pool = connect("redis://127.0.0.1:1/0").connection_pool
    connection = pool.connection_class(**pool.connection_kwargs)

    assert isinstance(connection.retry, Patience)
    assert redis.exceptions.BusyLoadingError in connection.retry._supported_errors


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_says_why_and_what_to_do(code: str) -> None:
    """A refusal's code is found in the server's error, in one that a script or a pipeline quotes, and in ours."""
    messages = [f"{code} as it says", f"Command # 1 (SET k) of pipeline caused error: {code} as it says"]
    for error in (*map(redis.ResponseError, messages), RefusedError(code)):
        assert refusal(error) == code
        with pytest.raises(LedgerAwayError, match=f"refuses writes: {code}, ") as caught:
            Scripts(Refusing(error)).run("k", Watch(lease_seconds=10))
        assert REFUSALS[code] in str(caught.value)


def test_a_refusal_is_waited_for() -> None:
    """As long as for a lost connection: a replica that comes back within seconds costs nobody an error."""
    attempts: list[int] = []

    def refused_twice() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise redis.ResponseError("NOREPLICAS Not enough good replicas to write.")
        return "written"

    assert Patience(5).call_with_retry(refused_twice, lambda _: None) == "written"


def test_a_refusal_that_stays_is_raised_in_time() -> None:
    """It ends as an error of a lost connection."""

    def refused() -> None:
        raise redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device")

    with pytest.raises(RefusedError):
        Patience(0.2).call_with_retry(refused, lambda _: None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Error 111 connecting to 127.0.0.1:6379. Connection refused.", None),
        ("Error -2 connecting to redis.internal.example:6379. Name or service not known.", None),
        ("Error 2 connecting to unix socket: /run/redis.v7/redis.sock. No such file or directory.", None),
        ("invalid username-password pair or user is disabled.", None),
        ("No master found for 'my.master' : ConnectionError('a.\\nb')", None),
        ("two\nlines. of it.", "two lines. of it"),
    ],
)
def test_an_error_is_shown_to_its_end(text: str, shown: str | None) -> None:
    """Addresses and names of files have dots: what comes behind them says what is wrong."""
    assert words_of(redis.ConnectionError(text)) == (shown or text.rstrip("."))
