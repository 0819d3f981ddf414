"""The collaborators of all parts of the ledger: Redis, the scripts, the limits of accounts, and the timing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import redis

from bide.errors import NotReplicatedError
from bide.ledger import scripts
from bide.ledger.identity import KEEP_SECONDS, TOLERATED_SECONDS, Identity, LedgerState, Look
from bide.ledger.keys import ACCOUNTS_KEY, WHOLE_PREFIX, prefix
from bide.ledger.records import AccountName, Limits, Timing
from bide.ledger.safety import DISK, Safety
from bide.ledger.script import Script
from bide.ledger.script_runner import Scripts
from bide.redis_errors import away, is_away


class Executor:
    """Runs scripts of accounts and reads their keys; each method raises `LedgerAwayError` when Redis stays away.

    `limits` says what an account may do; `safety` what `run_safely` waits for, None for what the workers announce;
    `clock` replaces Redis's own time in tests [seconds since the epoch].
    """

    def __init__(
        self,
        server: redis.Redis,
        *,
        limits: Callable[[AccountName], Limits] = lambda _: Limits(),
        timing: Timing | None = None,
        safety: Safety | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.server, self.limits, self.timing, self.clock = server, limits, timing or Timing(), clock
        self.safety, self._announced = safety, DISK
        self.identity = Identity()
        self._scripts = Scripts(server)

    def run(self, account: AccountName, script: Script) -> Any:
        """The reply of one script, run on the keys of `account`."""
        return self._scripts.run(prefix(account), self._bound(account, script), now=self._now())

    def run_many(self, scripts: Iterable[tuple[AccountName, Script]]) -> list[Any]:
        """The replies of scripts that are sent together, each run by itself; an error of one stands in its place."""
        bound = [(prefix(account), self._bound(account, script)) for account, script in scripts]
        return self._scripts.run_many(bound, now=self._now())

    def run_safely(self, account: AccountName, script: Script) -> Any:
        """The reply of one script, once what it wrote is as safe as is asked for; raises `NotReplicatedError`."""
        if not (self.safety or self._announced).replicas:
            return self.run(account, script)
        [reply] = self.run_many_safely([(account, script)])
        if isinstance(reply, redis.RedisError):
            raise reply
        return reply

    def run_many_safely(self, scripts: Iterable[tuple[AccountName, Script]]) -> list[Any]:
        """The replies of `run_many`, once all that was written is as safe as is asked for; raises `NotReplicatedError`.

        An executor that was given no safety waits as the workers have announced, which comes with the replies.
        """
        bound = [(prefix(account), self._bound(account, script)) for account, script in scripts]
        while True:
            asked = self.safety or self._announced
            replies, announced = self._scripts.run_safely(bound, asked, now=self._now())
            self._announced = announced
            if self.safety or announced.replicas <= asked.replicas:
                return replies

    def look(self, ledger_id: str, seen_at: float) -> Look:
        """Look at the ledger as a whole: whether it is the one that is expected, and has the look of `seen_at`."""
        script = scripts.whole.Look(
            id=ledger_id, seen_at=seen_at, tolerated_seconds=TOLERATED_SECONDS, keep_seconds=KEEP_SECONDS
        )
        safe = True
        try:
            [reply], _ = self._scripts.run_safely([(WHOLE_PREFIX, script)], self.safety or DISK, now=self._now())
        except NotReplicatedError as error:
            [reply], safe = error.replies, False
        if isinstance(reply, redis.RedisError):
            raise reply
        ledger_id, looked_at, went_back_from, keeps = reply
        state = LedgerState(ledger_id, float(looked_at), float(went_back_from or 0))
        return Look(state, safe=safe, keeps=safe and keeps == 1)

    def _bound(self, account: AccountName, script: Script) -> Script:
        script.bind(lambda: self.limits(account), self.timing)
        return script

    def _now(self) -> str:
        """What replaces Redis's own time; '' for nothing."""
        return "" if self.clock is None else repr(self.clock())

    def reach(self, read: Callable[[redis.Redis], Any]) -> Any:
        """The value of `read`, which is called with the client."""
        try:
            return read(self.server)
        except redis.RedisError as error:
            if not is_away(error):
                raise
            raise away(error) from error

    def pipeline(self) -> Any:
        """A pipeline of reads, without a transaction."""
        return self.server.pipeline(transaction=False)

    def execute(self, pipeline: Any) -> list[Any]:
        """The values of all reads of a pipeline."""
        return list(self.reach(lambda _: pipeline.execute()))

    def accounts(self) -> list[AccountName]:
        """All accounts that ever had a job, in order."""
        return sorted(map(AccountName.parse, self.reach(lambda server: server.smembers(ACCOUNTS_KEY))))

    def now(self) -> float:
        """The time by Redis's clock [seconds since the epoch]."""
        if self.clock is not None:
            return self.clock()
        seconds, microseconds = self.reach(lambda server: server.time())
        return float(seconds) + float(microseconds) / 1e6
