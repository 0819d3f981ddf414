"""`python -m tests.faults.first_gone`: how long jobs with a fallback take with their first provider up, and gone.

Real processes with the default clocks of bide. Jobs come evenly; each names two accounts. The first one is behind a
wire of its own, which is taken away between the two halves.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from bide.client import Client
from bide.percentiles import percentiles
from sandbox.server import BASE_PATHS
from tests.faults.chaos.__main__ import RESULTS
from tests.faults.chaos.proxy import Wire
from tests.faults.circumstances import MachineLoad, circumstances
from tests.integration.caller import image, marker
from tests.integration.rig import CLOCKS, Rig

#: The first account, whose server goes away, and the one that stays.
FIRST, SECOND = "down", "default"

#: How long one job may take [seconds].
PATIENCE_SECONDS = 120.0


class GoneRig(Rig):
    """A deployment whose account `down` has a server that can be taken away, and with the clocks of production."""

    @cached_property
    def wire(self) -> Wire:
        """Begun on first use; `take_away` ends it."""
        return self._wires.enter_context(Wire(self.sandbox.port, reads=False))

    @cached_property
    def _wires(self) -> ExitStack:
        return self._stack.enter_context(ExitStack())

    def take_away(self) -> None:
        """From now on nothing listens at the first account's address."""
        self.wire.cut()
        self._wires.close()

    def environment(self) -> dict[str, str]:
        server = f"127.0.0.1:{self.wire.port}"
        of_account = f"BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__{FIRST.upper()}"
        own = {name: value for name, value in super().environment().items() if name not in CLOCKS}
        return own | {
            f"{of_account}__BASE_URL": f"http://{server}{BASE_PATHS['photogpt']}",
            "BIDE_PROVIDERS__PHOTOGPT__MEDIA_HOSTS": json.dumps([server, f"127.0.0.1:{self.sandbox.port}"]),
        }


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=100, help="Jobs of each half.")
@click.option("--gap", "gap_seconds", default=0.5, help="Time from one job to the next.")
def main(jobs: int, gap_seconds: float) -> None:
    """Measure both halves, and write a file for the report."""
    load = MachineLoad()
    with (
        tempfile.TemporaryDirectory(prefix="bide-gone-") as folder,
        GoneRig(Path(folder)) as rig,
        Client(rig.redis.url) as client,
    ):
        _half(client, 4, gap_seconds)  # the processes have their first jobs behind them
        up = _half(client, jobs, gap_seconds)
        rig.take_away()
        gone = _half(client, jobs, gap_seconds)
        bought = len(rig.sandbox.purchases())
    result = {"jobs": jobs, "gap_seconds": gap_seconds, "up": up, "gone": gone, "bought": bought - 4}
    click.echo(json.dumps(result, indent=1))
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**circumstances(), **load.figures(), **result}, indent=1)
    (RESULTS / "first-gone.json").write_text(text)


def _half(client: Client, jobs: int, gap_seconds: float) -> dict[str, Any]:
    """From request to result of jobs that come evenly: p50, p95, longest [seconds]; how many each account made."""
    began, submitted = time.monotonic(), {}
    for number in range(jobs):
        time.sleep(max(0.0, began + number * gap_seconds - time.monotonic()))
        at = time.time()
        submitted[client.submit(_request())] = at
    results = {job_id: client.wait(job_id, timeout_seconds=PATIENCE_SECONDS) for job_id in submitted}
    seconds = [results[job_id].finished_at.timestamp() - at for job_id, at in submitted.items()]
    moved = sum(bool(result.tried) for result in results.values())
    return {
        "seconds": [round(each, 2) for each in (*percentiles(seconds, 50, 95), max(seconds))],
        "succeeded": len(results),
        "moved": moved,
    }


def _request() -> dict[str, Any]:
    request = image(marker())
    other = {name: request[name] for name in ("provider", "operation", "params")}
    return {**request, "account": FIRST, "fallbacks": [{**other, "account": SECOND}]}


if __name__ == "__main__":
    main()
