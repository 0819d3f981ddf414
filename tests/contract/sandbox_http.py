"""What the tests of the sandbox share: a running one, a client, and how to wait for an answer."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from sandbox.running import Sandbox

#: Mean time of a job in these tests [seconds].
LATENCY_SECONDS = 0.1

PICTURE = base64.b64encode(b"any bytes will do").decode()

BEARER = {"Authorization": "Bearer a-key"}
PHOTOGPT = {**BEARER, "API-Version": "1"}

IMAGE: dict[str, Any] = {"modelID": "m1", "prompt": "a red fox"}


class SandboxTests:
    """Base of test classes that talk to a sandbox; it is empty at the start of each test."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[Sandbox]:
        """One sandbox for the class."""
        with Sandbox(latency_seconds=LATENCY_SECONDS) as running:
            yield running

    @pytest.fixture
    def sandbox(self, server: Sandbox) -> Sandbox:
        """The sandbox, with nothing in it."""
        server.reset()
        return server

    @pytest.fixture
    def http(self, sandbox: Sandbox) -> Iterator[httpx.Client]:
        """A client at the sandbox's origin."""
        with httpx.Client(base_url=sandbox.base_url, timeout=20) as client:
            yield client


def until(ask: Callable[[], httpx.Response], done: Callable[[Any], bool]) -> Any:
    """Ask again until the answer's JSON is what is waited for; fails after 20 s."""
    deadline = time.monotonic() + 20
    while True:
        body = ask().json()
        if done(body):
            return body
        assert time.monotonic() < deadline, body
        time.sleep(0.02)


def picture(content: bytes) -> tuple[str | None, tuple[int, int]]:
    """Format and size of a picture that can be read to its end."""
    opened = Image.open(io.BytesIO(content))
    opened.load()
    return opened.format, opened.size
