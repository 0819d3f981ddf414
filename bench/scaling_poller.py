"""One of several processes that run polling rounds against one ledger, with a provider that answers at once."""

from __future__ import annotations

import json
import sys
import time

import click

from bide.ledger import AccountName, Ledger, Limits, Polled
from bide.ledger.connection import connect

#: When each job comes up again [seconds]: at once, so that there is always a full batch.
AGAIN_SECONDS = 0.0


@click.command()
@click.argument("url")
@click.argument("accounts", nargs=-1)
@click.option("--seconds", type=float, required=True)
def main(url: str, accounts: tuple[str, ...], seconds: float) -> None:
    """Poll these accounts for a while; prints how many polls were recorded, and this process's CPU."""
    server = connect(url)
    ledger = Ledger(server, limits=lambda _: Limits(max_in_flight=1_000_000))
    names = [AccountName.parse(account) for account in accounts]
    seqs = dict.fromkeys(names, 1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    polls, until, before = 0, time.monotonic() + seconds, time.process_time()
    while time.monotonic() < until:
        for name in names:
            claim = ledger.polls.claim(name, seqs[name], batch=500)
            again = [Polled(job.job_id, "running", AGAIN_SECONDS, note="working", seen=True) for job in claim.jobs]
            messages = ledger.polls.record(name, again) if again else None
            for each in (claim.round, messages.round if messages else None):
                seqs[name] = each.seq if each else seqs[name]
            polls += len(again)
    sys.stdout.write(json.dumps({"polls": polls, "cpu_seconds": time.process_time() - before}) + "\n")


if __name__ == "__main__":
    main()
