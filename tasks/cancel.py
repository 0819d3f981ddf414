"""`bide.cancel`: ends a job at once in the ledger; its caller's task fails with the code `canceled`."""

from __future__ import annotations

from config.queues import CANCEL
from workers.app import app
from workers.lifecycle import process


@app.task(Strategy="workers.celery_patches.message_check:checked_strategy", **CANCEL)
def cancel(job_id: str) -> None:
    """Cancel `job_id`; a job that has ended, or that the ledger does not know, is left as it is."""
    process.toolbox.canceler.cancel(job_id)
