"""The sandbox is what providers' own clients take it for: from PyPI, unmodified, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.running import Sandbox

pytestmark = pytest.mark.integration

CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for all clients."""
    with Sandbox(latency_seconds=0.2) as running:
        yield running


def got(sandbox: Sandbox, provider: str, package: str) -> dict[str, Any]:
    """What the program of a client prints last; skipped where the client is not installed, but not in CI."""
    if importlib.util.find_spec(package) is None and not os.environ.get("CI"):
        pytest.skip(f"{package} is not installed")
    command = [sys.executable, "-W", "ignore", str(CLIENTS / f"{provider}.py"), sandbox.url(provider)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


def test_openai(sandbox: Sandbox) -> None:
    """`openai` and the form of `/v1/videos`."""
    assert got(sandbox, "openai_videos", "openai") == {
        "made": ["completed", 100, "sora-2-pro", "8"],
        "content": ["ftyp", "WEBP"],
        "failed": ["failed", "no_gpu"],
        "moderated": ["failed", "moderation_blocked"],
        "waiting": "queued",
        "listed": True,
        "deleted": [True, True],
        "gone": "NotFoundError 404",
        "bad key": "AuthenticationError 401",
    }


def test_comfyui(sandbox: Sandbox) -> None:
    """`comfy-api-simplified`, which waits by the events of /ws."""
    assert got(sandbox, "comfyui", "comfy_api_simplified") == {
        "images": [["png", "PNG"]],
        "films": [["mp4", "ftyp"]],
        "before": 1,
        "interrupted": "execution_interrupted",
        "failed": "Execution error occurred.",
        "refused": "Request failed with status code 400: Bad Request",
    }


def test_blackforest(sandbox: Sandbox) -> None:
    """`blackforest`, which polls where the answer says."""
    assert got(sandbox, "bfl", "blackforest") == {
        "made": ["prompt", "sample", "seed"],
        "content": [200, "image/jpeg", "ffd8"],
        "ends": {
            "fail:no_gpu": "Error",
            "moderated": "Content Moderated",
            "request_moderated": "Request Moderated",
            "expired": "Task not found",
        },
        "bad key": "API request failed: 403 Client Error: Forbidden for url: "
        + sandbox.url("bfl")
        + "/v1/flux-pro-1.1",
    }
