"""How commands reach a running bide: by option, environment or `.env`, else the stack that runs in this folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from bide.cli.filled import FILLED
from bide.cli.stores import object_store
from bide.errors import ConfigurationError
from bide.settings.ledgers import OWN, Ledgers, read_ledgers
from bide.settings.reader import (
    FILE_SUFFIX,
    PREFIX,
    env_file,
    merge,
    read_env_file,
    read_secret,
)

if TYPE_CHECKING:
    from redis import Redis

    from bide.client import Client
    from bide.ledger import Ledger
    from bide.ledger.identity import KnownLedger
    from bide.storage import Storage

#: The files of stacks that run in this folder; a real one goes before a demo.
STACK_FILES = (Path(".bide/up/stack.json"), Path(".bide/demo/stack.json"))

#: The longest a broker may take to answer at first [seconds].
HELLO_SECONDS = 3.0

#: Where click's context keeps the name of the ledger that a command goes to.
CHOSEN = "bide.ledgers.chosen"


@dataclass(frozen=True)
class Connections:
    """Ledger and client of a deployment, by the value of `--broker`, and its store: click's context object of a caller.

    Celery's results are then beside the ledger.
    """

    ledger: Callable[[str | None], AbstractContextManager[Ledger]]
    client: Callable[[str | None], AbstractContextManager[Client]]
    store: Storage | None = None


class AwayError(click.ClickException):
    """The Redis of a ledger does not answer."""


def broker_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options `--broker` and `--ledger`; the latter is kept in click's context."""
    where = "The ledger to go to, of those in BIDE_LEDGERS__<NAME>__..."
    ledger = click.option(
        "--ledger",
        type=FILLED,
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        shell_complete=complete_ledger,
        help=where,
    )
    return click.option("--broker", metavar="URL", help="Broker address; default: see `bide --help`.")(ledger(command))


def complete_ledger(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ledgers that the environment names; nothing where that can't be read."""
    try:
        known = read_ledgers(read_environment())
    except (click.ClickException, ConfigurationError):
        return []
    return [CompletionItem(name) for name in (known.names if known else ()) if name.startswith(incomplete)]


def _keep(context: click.Context, _param: click.Parameter, name: str | None) -> None:
    if name:
        context.meta[CHOSEN] = name.lower()


def named_ledgers() -> Ledgers | None:
    """The ledgers that the environment names, None where it names none; raises `ConfigurationError`."""
    return None if _given_connections() else read_ledgers(read_environment())


def read_environment() -> dict[str, str]:
    """The environment over `.env`, with the contents of secret files; raises `ClickException`."""
    file = env_file()
    try:
        written = read_env_file(file)
    except UnicodeDecodeError:
        raise click.ClickException(f"{file}: is not UTF-8") from None
    except OSError as error:
        raise click.ClickException(f"{file}: can't be read: {error.strerror}") from None
    values = {name: variable.value for name, variable in merge(os.environ, written).items()}
    return {**_secrets(values), **values}


def client_environment(broker: str | None) -> dict[str, str]:
    """The environment of a client; a running stack's, where no broker is named. Raises `ClickException`."""
    environment = read_environment()
    chosen = _chosen(broker)
    if broker:
        return {**environment, "BIDE_BROKER_URL": broker}
    if known := read_ledgers(environment):
        if not (chosen or len(known.names) == 1):
            raise click.UsageError(f"there are several ledgers: say --ledger NAME; there are {', '.join(known.names)}")
        own = known.environment(chosen or known.names[0])
        return {**{name: value for name, value in environment.items() if name not in OWN}, **own}
    if chosen:
        raise click.UsageError("--ledger: no ledger is named; set BIDE_LEDGERS__<NAME>__BROKER_URL of each")
    if "BIDE_BROKER_URL" in environment:
        return environment
    if stack := stack_environment():
        return {**environment, **stack}
    raise click.ClickException(
        "no broker is known: set BIDE_BROKER_URL (environment or .env), pass --broker, or start `bide up` here"
    )


def program_environment(broker: str | None) -> dict[str, str]:
    """The variables for a program of the deployment's folder, besides its own: where its broker and ledger are."""
    if broker and not _chosen(broker):
        return {"BIDE_BROKER_URL": broker}
    if _stacks_own(broker):
        return stack_environment()
    environment = client_environment(broker)
    return {name: environment.get(name, "") for name in OWN}  # an empty variable is none


def deployment_environment(broker: str | None = None) -> dict[str, str]:
    """The settings of the deployment that a command goes to: a running stack's, but for another broker or ledger."""
    return {**(stack_environment() if _stacks_own(broker) else {}), **read_environment()}


def _stacks_own(broker: str | None) -> bool:
    """Whether the command goes to the stack that runs in this folder, where one does."""
    return not (broker or _chosen(broker)) and named_ledgers() is None


def _chosen(broker: str | None) -> str | None:
    """The name that `--ledger` or the choice of a command gave; raises `UsageError` beside `--broker`."""
    context = click.get_current_context(silent=True)
    chosen: str | None = context.meta.get(CHOSEN) if context else None
    if broker and chosen:
        raise click.UsageError("there is --broker or --ledger, not both")
    return chosen


def stack_environment() -> dict[str, str]:
    """The variables of a stack that runs in this folder; empty where none runs, or where a broker is named."""
    return dict(running_stack().get("environment", {}))


def running_stack() -> dict[str, Any]:
    """How to reach a stack that runs in this folder; empty where none runs, or where a broker is named."""
    running = [] if "BIDE_BROKER_URL" in read_environment() else filter(None, map(_running, STACK_FILES))
    return next(iter(running), {})


def connected(broker: str | None) -> AbstractContextManager[Client]:
    """A client of the broker; raises `ClickException` where the broker does not answer."""
    given = _given_connections()
    return given.client(broker) if given else _client(broker)


def ledger_at(broker: str | None) -> AbstractContextManager[Ledger]:
    """The ledger beside the broker; raises `ClickException` where its Redis does not answer."""
    given = _given_connections()
    return given.ledger(broker) if given else _ledger(broker)


def known_store(broker: str | None = None) -> Storage:
    """The object store of the deployment that a command goes to; raises `ClickException` where none is known."""
    given = _given_connections()
    store = given.store if given else object_store(deployment_environment(broker))
    if store is None:
        raise click.ClickException("no object store is known: set BIDE_S3__BUCKET (environment or .env)")
    return store


def known_ledger(storage: Storage, broker: str | None) -> KnownLedger:
    """What an object store knows of the ledger beside the broker, by its address."""
    from bide.ledger.identity import KnownLedger  # noqa: PLC0415 - slow to import, and --help does not need it

    environment = client_environment(broker)
    url = environment.get("BIDE_LEDGER_URL") or environment["BIDE_BROKER_URL"]
    return KnownLedger(storage, url, sentinel_master=sentinel_master(environment))


def has_address() -> bool:
    """Whether commands find the ledger by its address, and not by what a caller of the command has given."""
    return _given_connections() is None


@contextmanager
def results_beside(ledger: Ledger, broker: str | None) -> Iterator[Redis]:
    """The server of Celery's results; raises `ClickException` where it does not answer."""
    from bide.redis_client import close, connect, results_at  # noqa: PLC0415 - slow to import, --help needs it not

    if _given_connections():
        yield ledger.server
        return
    environment = client_environment(broker)
    ledger_url = environment.get("BIDE_LEDGER_URL") or environment["BIDE_BROKER_URL"]
    url = environment.get("BIDE_RESULT_URL") or results_at(environment["BIDE_BROKER_URL"], ledger_url)
    check_answers(url, sentinel_master(environment))
    server = connect(url, sentinel_master=sentinel_master(environment))
    try:
        yield server
    finally:
        close(server)


def _given_connections() -> Connections | None:
    context = click.get_current_context(silent=True)
    return context.find_object(Connections) if context else None


@contextmanager
def _client(broker: str | None) -> Iterator[Client]:
    from bide.client import Client  # noqa: PLC0415 - Celery takes a while, and --help does not need it

    environment = client_environment(broker)
    ledger_url = environment.get("BIDE_LEDGER_URL") or environment["BIDE_BROKER_URL"]
    check_answers(ledger_url, sentinel_master(environment))
    with Client(
        environment["BIDE_BROKER_URL"],
        result_url=environment.get("BIDE_RESULT_URL"),
        ledger_url=ledger_url,
        uploads=object_store(environment),
        sentinel_master=sentinel_master(environment),
    ) as client:
        yield client


@contextmanager
def _ledger(broker: str | None) -> Iterator[Ledger]:
    from bide.ledger import Ledger  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.ledger.connection import connect  # noqa: PLC0415 - slow to import, and --help does not need it

    environment = client_environment(broker)
    url = environment.get("BIDE_LEDGER_URL") or environment["BIDE_BROKER_URL"]
    check_answers(url, sentinel_master(environment))
    with connect(url, sentinel_master=sentinel_master(environment)) as server:
        yield Ledger(server)


def sentinel_master(environment: Mapping[str, str]) -> str:
    """The name of the deployment's Redis among its sentinels."""
    return environment.get("BIDE_SENTINEL_MASTER", "mymaster")


def check_answers(url: str, master: str) -> None:
    """Raise `ClickException` where the Redis at `url` does not answer, with its host, the reason and a remedy."""
    import redis  # noqa: PLC0415 - slow to import, and --help does not need it

    from bide.redis_address import place_of  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.redis_client import connect  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.redis_errors import refusal, words_of  # noqa: PLC0415 - slow to import, and --help does not need it

    try:
        with connect(
            url,
            sentinel_master=master,
            socket_connect_timeout=HELLO_SECONDS,
            socket_timeout=HELLO_SECONDS,
            retry=None,
        ) as server:
            server.ping()
    except ConfigurationError as error:
        raise AwayError(str(error)) from None
    except (redis.RedisError, ValueError) as error:
        if refusal(error) == "MISCONF":
            return  # it refuses PING and writes, and serves what a command reads
        if isinstance(error, redis.RedisError):
            reason = f"the broker at {place_of(url)} does not answer: {words_of(error)}"
        else:
            reason = f"the broker's address, {place_of(url)}, can't be read: it looks like redis://127.0.0.1:6379/0"
        raise AwayError(reason) from None


def _secrets(values: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, path in values.items():
        if name.startswith(PREFIX) and name.endswith(FILE_SUFFIX):
            content = read_secret(Path(path))
            if content is None:
                raise click.ClickException(f"{name}: names a file that is empty or can't be read")
            found[name.removesuffix(FILE_SUFFIX)] = content
    return found


def _running(file: Path) -> dict[str, Any] | None:
    """The content of a stack's file, if the stack lives."""
    try:
        stack: dict[str, Any] = json.loads(file.read_text())
        os.kill(stack["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stack
