"""Object stores for tests, each a server of its own, and storages to reach them by."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from bide.storage import Storage, StorageOptions

ACCESS_KEY, SECRET_KEY = "bide-test", "SECRET-of-the-test"

#: The bucket of all tests.
BUCKET = "results"

#: The variables of boto3's own chain, with nothing from the machine's own files.
KEYS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def set_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3 find the keys of the tests."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def storage_at(endpoint_url: str, bucket: str = BUCKET, **options: Any) -> Storage:
    """A storage whose requests are not repeated, unless `options` say so."""
    usual = {"region": "us-east-1", "connect_timeout_seconds": 2, "read_timeout_seconds": 10, "max_attempts": 1}
    return Storage(StorageOptions(bucket, endpoint_url=endpoint_url, **{**usual, **options}))


def bucket_at(url: str, **options: Any) -> Storage:
    """A storage at a new server, with its bucket made."""
    storage = storage_at(url, **options)
    storage.client.create_bucket(Bucket=BUCKET)
    return storage


@contextmanager
def moto() -> Iterator[str]:
    """Moto's server, which checks neither signatures nor digests; its address."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def nanio(folder: Path) -> Iterator[str]:
    """nanio, which checks signatures; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("nanio")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
    with subprocess.Popen(
        [*command, "--data-dir", str(folder), "--log-level", "error", "--no-access-log"], env=environment
    ) as server:
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the port answers; a server that gave up fails the test."""
    while server.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    pytest.fail("nanio did not start")
