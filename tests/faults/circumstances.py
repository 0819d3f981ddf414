"""Where and when a proof was made: machine, versions, date."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version

from bench.proc import machine, stolen_seconds
from tests.integration.servers import redis_binary

LIBRARIES = ("celery", "kombu", "redis")


def circumstances() -> dict[str, str]:
    """As it stands beside each result."""
    words = subprocess.run([redis_binary(), "--version"], capture_output=True, text=True, check=True).stdout.split()
    server = next(part.removeprefix("v=") for part in words if part.startswith("v="))
    versions = [f"{name} {version(name)}" for name in LIBRARIES]
    return {
        "machine": machine(),
        "versions": ", ".join([f"Python {platform.python_version()}", *versions, f"Redis server {server}"]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


class MachineLoad:
    """The load of the machine while something was measured: counted from when this was made."""

    def __init__(self) -> None:
        self._began, self._stolen_before = time.monotonic(), stolen_seconds()

    def figures(self) -> dict[str, float]:
        """The load of the last 15 minutes, and the share of the CPUs that the host of a virtual machine kept [%]."""
        cpu_seconds = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        stolen = stolen_seconds() - self._stolen_before
        return {"busy": round(os.getloadavg()[2], 1), "stolen_percent": round(100 * stolen / cpu_seconds, 1)}
