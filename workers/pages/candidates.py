"""Evidence for unconfirmed jobs: the providers' own lists, read by a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from typing import Any

from bide.errors import BideError
from workers.pages.rows import cut

#: What `bide unconfirmed list --candidates --json` runs, and how long it may take [seconds].
COMMAND, LONGEST_SECONDS = (sys.executable, "-m", "workers.unconfirmed", "--json"), 60.0


class NoEvidenceError(BideError):
    """The providers were not asked, or have not answered."""


async def candidates() -> Mapping[str, Mapping[str, Any]]:
    """Each unconfirmed job with its candidates, by job id, as that command prints them; raises `NoEvidenceError`."""
    process = await asyncio.create_subprocess_exec(*COMMAND, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            printed, errors = await process.communicate()
    except TimeoutError:
        raise NoEvidenceError(f"the providers have not answered within {LONGEST_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise NoEvidenceError(f"the providers could not be asked: {cut(errors.decode(errors='replace'), 300)}")
    return {each["job_id"]: each for each in json.loads(printed)}
