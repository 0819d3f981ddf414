"""`bide.notify`: callbacks of one provider account are due; they are delivered by a thread of their own."""

from __future__ import annotations

from bide.ledger import AccountName
from config.queues import NOTIFY
from workers.app import app
from workers.lifecycle import process


@app.task(Strategy="workers.celery_patches.message_check:checked_strategy", **NOTIFY)
def notify(provider: str, account: str) -> None:
    """Have the account's due callbacks delivered; the ledger says which, and a second message finds none."""
    process.toolbox.callback_sender.deliver(AccountName(provider, account))
