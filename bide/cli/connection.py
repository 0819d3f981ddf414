"""Where the commands find a running bide: named by option, environment or `.env`, or a stack in here."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from dotenv import dotenv_values

if TYPE_CHECKING:
    from bide.client import Client
    from bide.ledger import Ledger
    from bide.storage import Storage

ENV_FILE = Path(".env")

#: What a stack that runs in this folder says of itself; one for real goes before a demo.
STACK_FILES = (Path(".bide/up/stack.json"), Path(".bide/demo/stack.json"))

#: How long a broker may take to say hello [seconds].
HELLO_SECONDS = 3.0


def broker_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--broker`."""
    return click.option("--broker", metavar="URL", help="Broker address; default: see `bide --help`.")(command)


def environment() -> dict[str, str]:
    """The environment over `.env`; of a secret in a file, the content."""
    try:
        written = dotenv_values(ENV_FILE, interpolate=False) if ENV_FILE.is_file() else {}
    except UnicodeDecodeError:
        raise click.ClickException(f"{ENV_FILE}: is not UTF-8") from None
    said = {name: value for name, value in {**written, **os.environ}.items() if value}
    return {**_from_files(said), **said}


def surroundings(broker: str | None) -> dict[str, str]:
    """The environment to work in; that of a running stack where no broker is named. Raises `ClickException`."""
    said = environment()
    if broker:
        return {**said, "BIDE_BROKER_URL": broker}
    if "BIDE_BROKER_URL" in said:
        return said
    if stack := stack_environment():
        return {**said, **stack}
    raise click.ClickException(
        "no broker is known: set BIDE_BROKER_URL (environment or .env), pass --broker, or start `bide up` here"
    )


def stack_environment() -> dict[str, str]:
    """What a stack that runs in this folder tells its clients; empty where none runs or a broker is named."""
    running = [] if "BIDE_BROKER_URL" in environment() else filter(None, map(_running, STACK_FILES))
    stack = next(iter(running), None)
    return dict(stack["environment"]) if stack else {}


@contextmanager
def connected(broker: str | None) -> Iterator[Client]:
    """A client of the broker, which is seen to answer first; raises `ClickException`."""
    from bide.client import Client  # noqa: PLC0415 - Celery takes a while, and --help does not need it

    told = surroundings(broker)
    ledger_url = told.get("BIDE_LEDGER_URL") or told["BIDE_BROKER_URL"]
    _greet(ledger_url, sentinel_master(told))
    with Client(
        told["BIDE_BROKER_URL"],
        result_url=told.get("BIDE_RESULT_URL"),
        ledger_url=ledger_url,
        uploads=object_store(told),
        sentinel_master=sentinel_master(told),
    ) as client:
        yield client


@contextmanager
def ledger_at(broker: str | None) -> Iterator[Ledger]:
    """The ledger beside the broker, which is seen to answer first; raises `ClickException`."""
    from bide.ledger import Ledger  # noqa: PLC0415 - as Celery above
    from bide.ledger.connection import connect  # noqa: PLC0415 - as Celery above

    told = surroundings(broker)
    url = told.get("BIDE_LEDGER_URL") or told["BIDE_BROKER_URL"]
    _greet(url, sentinel_master(told))
    with connect(url, sentinel_master=sentinel_master(told)) as server:
        yield Ledger(server)


def sentinel_master(told: Mapping[str, str]) -> str:
    """The name that sentinels know the deployment's Redis by."""
    return told.get("BIDE_SENTINEL_MASTER", "mymaster")


def _greet(url: str, master: str) -> None:
    import redis  # noqa: PLC0415 - as Celery above

    from bide.redis_client import connect  # noqa: PLC0415 - as Celery above
    from bide.redis_errors import refusal  # noqa: PLC0415 - as Celery above

    try:
        with connect(
            url,
            sentinel_master=master,
            socket_connect_timeout=HELLO_SECONDS,
            socket_timeout=HELLO_SECONDS,
            retry=None,
        ) as server:
            server.ping()
    except (redis.RedisError, ValueError) as error:
        if refusal(error) == "MISCONF":
            return  # it refuses this, and writes; what a command reads it gives
        address = url.rpartition("@")[2].partition("?")[0]  # either may hold a password
        host = address.partition("://")[2] or address
        reason = str(error).partition(".")[0] if isinstance(error, redis.RedisError) else "the address can't be read"
        raise click.ClickException(f"the broker at {host} does not answer: {reason}") from None


def object_store(told: Mapping[str, str]) -> Storage | None:
    """The deployment's object store, for inputs that are too large for a message; None where none is known."""
    bucket = told.get("BIDE_S3__BUCKET")
    if not bucket:
        return None
    from bide.storage import Storage, StorageOptions  # noqa: PLC0415 - as Celery above

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if name in told:
            os.environ.setdefault(name, told[name])
    endpoint = told.get("BIDE_S3__ENDPOINT_URL")
    style = told.get("BIDE_S3__ADDRESSING_STYLE") or ("path" if endpoint else "auto")
    return Storage(StorageOptions(bucket, endpoint, told.get("BIDE_S3__REGION"), style))


def _from_files(said: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, path in said.items():
        if name.startswith("BIDE_") and name.endswith("_FILE"):
            try:
                found[name.removesuffix("_FILE")] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, ValueError):
                raise click.ClickException(f"{name}: the file it names can't be read") from None
    return found


def _running(file: Path) -> dict[str, Any] | None:
    """What a stack says of itself, if it lives."""
    try:
        stack: dict[str, Any] = json.loads(file.read_text())
        os.kill(stack["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stack
