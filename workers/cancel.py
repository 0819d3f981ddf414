"""Cancelling a job: by the task `bide.cancel`, and by a revocation from Flower."""

from __future__ import annotations

import structlog

from workers.toolbox import toolbox

log = structlog.get_logger()


def cancel_job(job_id: str) -> bool:
    """Cancel a job; False where the ledger knows no such job. None of the providers can take a purchase back."""
    tools = toolbox()
    record = tools.ledger.find(job_id)
    if record is None:
        log.warning("cancel.unknown_job", job_id=job_id)
        return False
    state, messages = tools.ledger.cancel(record.account, job_id)
    tools.dispatcher.send(messages)
    tools.dispatcher.send(tools.ledger.admit(record.account))
    log.info("job.canceled", job_id=job_id, account=str(record.account), was=state)
    return True
