"""What a job cost, as its provider says it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Cost:
    """What a provider says that a job costs; a later word replaces an earlier one."""

    #: What is charged in all, less what was given back: 0 for a job that costs nothing, or whose charge was refunded.
    amount: Decimal
    #: A currency of ISO 4217, such as `USD`, or the provider's own unit, such as `credits`.
    unit: str
