"""The accounts that a job with fallbacks has left, as its record lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from bide.contract import Tried
from bide.providers.costs import Cost

#: The most that is shown of why an account did not make a job [characters].
TRIED_CHARACTERS = 200


@dataclass(frozen=True)
class Move:
    """A job has left an account, at `at` [seconds since the epoch], and went on at its next one."""

    at: float
    tried: Tried
    #: What the account knew the job as, '' where it had not accepted it.
    provider_job_id: str
    #: Whether the account has charged for it, or may have.
    charged: bool

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """A move as `include/fallback.lua` writes it."""
        cost = Cost.from_text(entry.get("cost", ""))
        tried = Tried(
            **{name: entry[name] for name in ("provider", "operation", "account", "code")},
            message=shortened(entry["message"]),
            cost=cost.to_wire() if cost else None,
        )
        return cls(float(entry["at"]), tried, entry.get("provider_job_id", ""), bool(entry.get("charged")))

    @property
    def account(self) -> str:
        return f"{self.tried.provider}/{self.tried.account}"

    def __str__(self) -> str:
        return f"{self.account} ({self.tried.code})"


def read_moves(text: str) -> tuple[Move, ...]:
    """The moves of a record's field `tried`, in their order; () for ''."""
    return tuple(map(Move.read, json.loads(text or "[]")))


def shortened(message: str) -> str:
    """The beginning of a failure's message: each account that was tried has one, and all are listed together."""
    return message if len(message) <= TRIED_CHARACTERS else f"{message[: TRIED_CHARACTERS - 1]}…"
