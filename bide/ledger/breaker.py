"""The circuit breakers of an account and of its lanes, and its pause: whether submits are let through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bide.ledger.records import AccountName

#: Fields of an account's own record that breaker and pause need.
FIELDS = (
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
class LaneState:
    """The breaker of a lane that is not closed."""

    open_seconds: float
    open_reason: str
    failures: int

    @property
    def trouble(self) -> str:
        """Why the lane submits nothing, or less than it might, in words."""
        return _trouble(self.open_seconds, self.failures, self.open_reason)


@dataclass(frozen=True)
class AccountState:
    """An account's breakers and pause at `now` [seconds since the epoch]; empty texts and zeros where it is well."""

    account: AccountName
    now: float
    paused: str = ""
    paused_at: datetime | None = None
    paused_by: str = ""
    #: How much longer the breaker is open, and why [seconds].
    open_seconds: float = 0.0
    open_reason: str = ""
    #: Failures in a row. Above 0 and not open, the breaker is half-open: one job goes ahead, `probe` was the last.
    failures: int = 0
    probe: str = ""
    #: What the settings allow, as far as a sweep has noted it; 0 for unknown, of the rate also for unlimited.
    max_in_flight: int = 0
    submits_per_second: float = 0.0
    #: The lanes whose own breaker is not closed, by their names: operation and lane with a blank between.
    lanes: Mapping[str, LaneState] = field(default_factory=dict)

    @property
    def trouble(self) -> str:
        """Why the account submits nothing, or less than it might, in words; '' where it is well."""
        if self.paused:
            since = f" since {self.paused_at:%Y-%m-%d %H:%M:%S} UTC" if self.paused_at else ""
            return f"paused by {self.paused_by or 'bide'}{since}: {self.paused}"
        return _trouble(self.open_seconds, self.failures, self.open_reason)

    @property
    def troubles(self) -> str:
        """The trouble of the account and of its lanes; '' where all are well."""
        lanes = [f"lane {name}: {lane.trouble}" for name, lane in sorted(self.lanes.items())]
        return "; ".join(filter(None, [self.trouble, *lanes]))


def _trouble(open_seconds: float, failures: int, reason: str) -> str:
    if open_seconds > 0:
        return f"no submits for another {open_seconds:.0f} s: {reason}"
    if failures:
        return f"one submit at a time until one is accepted, after {failures} in a row that failed: {reason}"
    return ""


def lane_states(fields: Mapping[str, str], *, now: float) -> dict[str, LaneState]:
    """The lanes whose breaker is not closed, from the ledger's hash of their breakers."""
    found = {}
    for field_name, failures in fields.items():
        kind, _, lane = field_name.partition(":")
        if kind == "strikes":
            open_seconds = max(float(fields.get(f"gate_until:{lane}") or 0) - now, 0.0)
            found[lane] = LaneState(open_seconds, fields.get(f"gate_reason:{lane}", ""), int(failures))
    return found


def account_state(
    account: AccountName, values: Sequence[str | None], *, now: float, lanes: Mapping[str, str] | None = None
) -> AccountState:
    """The state of an account at `now` [seconds since the epoch], from the values of `FIELDS` and lanes' breakers."""
    found = {name: value or "" for name, value in zip(FIELDS, values, strict=True)}
    open_seconds = float(found["gate_until"] or 0) - now
    failures = int(found["strikes"] or 0)
    return AccountState(
        account,
        now,
        paused=found["paused"],
        paused_at=datetime.fromtimestamp(float(found["paused_at"]), UTC) if found["paused_at"] else None,
        paused_by=found["paused_by"],
        open_seconds=max(open_seconds, 0.0),
        open_reason=found["gate_reason"] if open_seconds > 0 or failures else "",
        failures=failures,
        probe=found["probe"] if failures else "",
        max_in_flight=int(found["max_in_flight"] or 0),
        submits_per_second=float(found["submits_per_second"] or 0),
        lanes=lane_states(lanes or {}, now=now),
    )
