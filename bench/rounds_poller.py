"""The poller of `bench.rounds`: runs rounds in this process until so many polls are recorded; prints the CPU of one."""

from __future__ import annotations

import sys
import time

from bench.polls import ByHttpx
from bench.seeding import ACCOUNT
from tasks.steps.round import run_round
from workers.lifecycle import process
from workers.telemetry.step_log import StepLog

#: Polls that are not measured: connections are made meanwhile.
WARM_POLLS = 1000

#: No round has this number: it stands in for whichever is due.
ANY_ROUND = -1


def poll(most: int) -> int:
    """Run rounds until so many polls are recorded, or a few more; how many."""
    polls = 0
    while polls < most:
        with StepLog("poll.round", draw=process.tracing.draw) as line:
            line.silent = True
            run_round(process.toolbox, ACCOUNT, ANY_ROUND, line)
        asked = int(line.facts.get("jobs", 0))
        polls += asked
        if not asked:
            time.sleep(0.05)  # nothing is due
    return polls


def main(client: str, polls: int) -> None:
    """Poll by one of the two clients."""
    if client == "httpx":
        process.toolbox.http = ByHttpx(process.toolbox.http.options)
    poll(WARM_POLLS)
    begun = time.process_time()
    recorded = poll(polls)
    print((time.process_time() - begun) / recorded, flush=True)
    process.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
