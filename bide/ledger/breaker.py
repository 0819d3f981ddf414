"""An account's circuit breaker and its pause: whether its submits are let through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from bide.ledger import scripts
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.records import AccountName
from bide.ledger.scripted import Scripted

#: Fields of an account's own record that breaker and pause need.
_FIELDS = (
    "paused",
    "paused_at",
    "paused_by",
    "gate_until",
    "gate_reason",
    "strikes",
    "probe",
    "max_in_flight",
    "submits_per_second",
)


@dataclass(frozen=True)
class AccountState:
    """An account's breaker and pause at `now` [seconds since the epoch]; empty texts and zeros where it is well."""

    account: AccountName
    now: float
    paused: str = ""
    paused_at: datetime | None = None
    paused_by: str = ""
    #: How much longer the breaker is open, and why [seconds].
    held_seconds: float = 0.0
    held_reason: str = ""
    #: Failures in a row. Above 0 and not open, the breaker is half-open: one job goes ahead, `probe` was the last.
    strikes: int = 0
    probe: str = ""
    #: What the settings allow, as far as a sweep has noted it; 0 for unknown, of the rate also for unlimited.
    max_in_flight: int = 0
    submits_per_second: float = 0.0

    @property
    def trouble(self) -> str:
        """In words, why it submits nothing or less than it might; '' where it is well."""
        if self.paused:
            since = f" since {self.paused_at:%Y-%m-%d %H:%M:%S} UTC" if self.paused_at else ""
            return f"paused by {self.paused_by or 'bide'}{since}: {self.paused}"
        if self.held_seconds > 0:
            return f"no submits for another {self.held_seconds:.0f} s: {self.held_reason}"
        if self.strikes:
            failed = f"after {self.strikes} in a row that failed: {self.held_reason}"
            return f"one submit at a time until one is accepted, {failed}"
        return ""


class CircuitBreaker(Scripted):
    """Blocks, pauses and resumes the submits of whole accounts; polls and downloads go on."""

    def hold(self, account: AccountName, *, seconds: float, reason: str) -> bool:
        """Open the breaker for a while: the provider refuses the account. False: it was open for that already."""
        return bool(self._run(account, scripts.account.BlockSubmits(seconds=seconds, reason=reason)))

    def pause(self, account: AccountName, *, reason: str, by: Literal["bide", "operator"]) -> bool:
        """No submits of this account until it is resumed. False: it was paused already."""
        self._reach(lambda: self.server.sadd(ACCOUNTS_KEY, str(account)))
        return bool(self._run(account, scripts.account.Pause(reason=reason[:300], by=by)))

    def resume(self, account: AccountName) -> bool:
        """End the pause and close the breaker. False: there was no pause, and the breaker was closed."""
        return bool(self._run(account, scripts.account.Resume()))

    def account_state(self, account: AccountName) -> AccountState:
        """The breaker and the pause of an account now."""
        pipeline = self.server.pipeline(transaction=False)
        pipeline.hmget(f"{prefix(account)}account", _FIELDS)
        pipeline.time()
        values, (seconds, _) = self._reach(pipeline.execute)
        found = {name: value or "" for name, value in zip(_FIELDS, values, strict=True)}
        now = float(seconds) if self._clock is None else self._clock()
        open_seconds = float(found["gate_until"] or 0) - now
        failures = int(found["strikes"] or 0)
        return AccountState(
            account,
            now,
            paused=found["paused"],
            paused_at=datetime.fromtimestamp(float(found["paused_at"]), UTC) if found["paused_at"] else None,
            paused_by=found["paused_by"],
            held_seconds=max(open_seconds, 0.0),
            held_reason=found["gate_reason"] if open_seconds > 0 or failures else "",
            strikes=failures,
            probe=found["probe"] if failures else "",
            max_in_flight=int(found["max_in_flight"] or 0),
            submits_per_second=float(found["submits_per_second"] or 0),
        )
