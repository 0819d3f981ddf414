"""The health check as a command, against processes of tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from tests.integration.processes import ROOT
from tests.integration.waiting import PATIENCE_SECONDS, eventually

HEALTHY, UNHEALTHY = 0, 1

#: How old a heartbeat may be in tests, by the option `--patience` [seconds]; two are 2 s apart.
HEARTBEAT_SECONDS = 4


def health(name: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and output of `python -m workers.health NAME`."""
    command = [sys.executable, "-m", "workers.health", name, "--patience", str(HEARTBEAT_SECONDS)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def health_becomes(
    code: int, name: str, environment: Mapping[str, str], *, within_seconds: float = PATIENCE_SECONDS
) -> str:
    """Wait until the check ends with `code`; returns its output."""

    def output() -> str:
        found, text = health(name, environment)
        return text if found == code else ""

    return eventually(output, what=f"the check of {name} ends with {code}", within_seconds=within_seconds)
