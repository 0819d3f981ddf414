"""Where and when a proof was made: machine, versions, date."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version

from bench.proc import machine
from tests.integration.servers import redis_binary

LIBRARIES = ("celery", "kombu", "redis")


def circumstances() -> dict[str, str]:
    """As it stands beside each result."""
    said = subprocess.run([redis_binary(), "--version"], capture_output=True, text=True, check=True).stdout.split()
    server = next(part.removeprefix("v=") for part in said if part.startswith("v="))
    versions = [f"{name} {version(name)}" for name in LIBRARIES]
    return {
        "machine": machine(),
        "versions": ", ".join([f"Python {platform.python_version()}", *versions, f"Redis server {server}"]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
