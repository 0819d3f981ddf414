"""What a job cost, as its result says it: by the provider's word, else by the price that was known before."""

from __future__ import annotations

from decimal import Decimal

from bide.contract import JobCost, JobState
from bide.ledger.records import Record
from bide.money.amounts import exact
from bide.providers.base import Cost

#: The states of a job that was bought and went well.
_WENT_WELL = (JobState.STORING, JobState.SUCCEEDED)


def price_of(record: Record) -> Cost | None:
    """What its last purchase was expected to cost when it was to be made; None where no price was known."""
    if not (record.text("price") and record.text("currency")):
        return None
    return Cost(Decimal(exact(int(record.number("price")))), record.text("currency"))


def cost_of(record: Record) -> JobCost | None:
    """The cost of a job; None where neither its provider nor a price says it.

    A price says it of jobs that went well alone: a failed one may have cost nothing. A record without a price has what
    the provider says, in the form of earlier releases.
    """
    cost, price = record.cost, price_of(record)
    if price is None:
        return cost.to_wire() if cost else None
    expected = price.to_wire()
    if cost is not None:
        reserved = expected.amount if price.unit == cost.unit else None
        return cost.to_wire().model_copy(update={"reserved": reserved, "source": "provider"})
    source = record.text("priced_by")
    if record.state not in _WENT_WELL or source not in ("settings", "file", "adapter"):
        return None
    return expected.model_copy(update={"reserved": expected.amount, "source": source})
