"""What a provider's call comes to: checked, taken to the ledger, counted. What it says is not even read."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bide.ledger import AccountName, Ledger, Messages
from bide.ledger.poll_now import PollNowOutcome
from bide.settings.sections import ProviderSettings
from bide.webhooks.incoming import Hooks
from workers.metrics.counted import HOOKS
from workers.metrics.tally import Tally

log = structlog.get_logger()


class Handler:
    """`knows` costs no I/O; `take` waits for Redis and the broker, in a thread."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        hooks_of: Callable[[AccountName], Hooks],
        send: Callable[[Messages], None],
        providers: dict[str, ProviderSettings],
        tally: Tally,
    ) -> None:
        self._ledger, self._hooks_of, self._send, self._tally = ledger, hooks_of, send, tally
        self._providers = providers

    def knows(self, account: AccountName, job_id: str, proof: str) -> bool:
        """Whether the call came in at an address that we gave out."""
        if self._hooks_of(account).proves(job_id, proof):
            return True
        if self._is_ours(account):  # strangers may name any: only what stands in the settings is counted
            self._tally.count(account, HOOKS, "refused")
        return False

    def take(self, account: AccountName, job_id: str) -> None:
        """Have the job polled now; raises `LedgerAwayError`."""
        outcome, messages = self._ledger.polls.poll_now(account, job_id)
        self._tally.count(account, HOOKS, outcome.value)
        effective = outcome in (PollNowOutcome.POLLED_NOW, PollNowOutcome.NOTED)
        say = log.info if effective else log.debug  # a flood fills no disk
        say("hook.taken", account=str(account), job_id=job_id, outcome=outcome.value)
        self._send(messages)

    def flush(self) -> None:
        """Write what was counted."""
        self._tally.flush(self._ledger.server)

    def _is_ours(self, account: AccountName) -> bool:
        options = self._providers.get(account.provider)
        return options is not None and (account.account == "default" or account.account in options.accounts)
