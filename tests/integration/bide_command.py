"""The `bide` command, as an operator runs it in the deployment's folder."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.integration.processes import ROOT
from tests.integration.rig import Rig


def bide(rig: Rig, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command of `bide`, with these variables besides the deployment's."""
    environment = {**rig.environment(), **variables}
    return subprocess.run(
        ["bide", *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def bide_json(rig: Rig, *arguments: str, **variables: str) -> Any:
    """What a command of `bide` prints with `--json`."""
    done = bide(rig, *arguments, "--json", **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
