"""Commands of docs/operations.md that tests run as they stand there: a block of shell below a comment with its name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from tests.integration.processes import ROOT

PAGE = ROOT / "docs" / "operations.md"

#: The longest that the commands of a block may take [seconds].
BLOCK_SECONDS = 120.0


def block(name: str) -> str:
    """The commands below `<!-- rehearsed: NAME -->`; raises `LookupError` where the page has no such block."""
    found = re.search(
        rf"<!-- rehearsed: {re.escape(name)} -->\n+ *```sh\n(.*?)^ *```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    if found is None:
        raise LookupError(f"{PAGE.name} has no block {name!r} that is rehearsed")
    return dedent(found[1])


def run(name: str, environment: Mapping[str, str], *, folder: Path, code: int = 0, **variables: str) -> str:
    """What a block prints; raises `AssertionError` where it ends with another exit code than `code`."""
    ended = subprocess.run(
        ["bash", "-euc", block(name)],
        env={**environment, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=BLOCK_SECONDS,
        check=False,
    )
    assert ended.returncode == code, f"{name}: {ended.stdout}{ended.stderr}"
    return ended.stdout
