"""What every query and script needs: Redis, the account's limits, the timing, and the scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from bide.contract import Failure, FailureCode
from bide.ledger.keys import prefix
from bide.ledger.reading import Readings
from bide.ledger.records import AccountName, Limits, Timing
from bide.ledger.script import Script
from bide.ledger.script_runner import Scripts


class Scripted(Readings):
    """Runs scripts of accounts.

    `limits` says what an account may do; `clock` replaces Redis's own time in tests [seconds since the epoch].
    """

    def __init__(
        self,
        server: redis.Redis,
        *,
        limits: Callable[[AccountName], Limits] = lambda _: Limits(),
        timing: Timing | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(server)
        self.timing = timing or Timing()
        self._limits = limits
        self._clock = clock
        self._scripts = Scripts(server)

    def _run(self, account: AccountName, script: Script) -> Any:
        now = "" if self._clock is None else repr(self._clock())
        return self._scripts.run(prefix(account), script, now=now)


def error_of(account: AccountName, code: FailureCode, message: str, *, job_id: str = "") -> str:
    """A failure as it stands in a record; without an id where the record itself says whose it is."""
    return Failure(code=code, message=message, job_id=job_id, provider=account.provider).model_dump_json()
