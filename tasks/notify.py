"""`bide.notify`: callbacks of one provider account are due; they are delivered by a thread of their own."""

from __future__ import annotations

from bide.ledger import AccountName
from config.queues import NOTIFY
from workers.app import app
from workers.toolbox import toolbox


@app.task(Strategy="workers.celery_patches.message_check:checked_strategy", **NOTIFY)
def notify(provider: str, account: str) -> None:
    """Have the account's due callbacks delivered; the ledger says which, and a second message finds none."""
    toolbox().callback_sender.look(AccountName(provider, account))
