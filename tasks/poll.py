"""`bide.poll`: a polling round of one provider account."""

from __future__ import annotations

from bide.ledger import AccountName
from config.queues import POLL
from tasks.steps.round import run_round
from workers.app import app
from workers.lifecycle import process
from workers.telemetry.step_log import StepLog


@app.task(Strategy="workers.celery_patches.message_check:checked_strategy", **POLL)
def poll(provider: str, account: str, seq: int) -> None:
    """Run the round `seq`; the ledger says what it polls and when the next one is."""
    with StepLog("poll.round", draw=process.tracing.draw) as line:
        line.about(account=f"{provider}/{account}")
        line.note(round=seq)
        run_round(process.toolbox, AccountName(provider, account), seq, line)
