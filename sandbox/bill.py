"""The bill: what each purchase costs, what is paid back, and which failures are charged, by prices to order.

A price comes from `POST /_sandbox/prices`. The one that holds when a job is bought stays that job's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.faults import PROVIDERS
from sandbox.jobs import Draft, Job, Phase

MILLION = 1_000_000

#: How a job may end without a result, by what shows it. What expires or comes out empty was made, and costs its price.
_FAILURES = {Phase.FAILED: "failed", Phase.CANCELED: "canceled"}

#: The names of those ends, and of a failure that is a moderation, in a price's `charged`.
ENDS = ("failed", "moderated", "canceled")

_MODERATIONS = ("moderated", "request_moderated")


class PriceError(ValueError):
    """A price that can't be understood; the text says what would be right."""


@dataclass(frozen=True)
class Price:
    """What a purchase costs; the first one that fits a request holds."""

    millionths: int
    currency: str = "USD"
    provider: str = "*"
    operation: str = "*"
    #: A text in the request, such as its model.
    match: str = ""
    #: What is counted: each `job`, or each `output` that was asked for.
    per: str = "job"
    #: The ends without a result that cost the price all the same.
    charged: tuple[str, ...] = ()

    def fits(self, draft: Draft) -> bool:
        """Whether it is the price of a request."""
        return (
            self.provider in ("*", draft.provider)
            and self.operation in ("*", draft.operation)
            and self.match in draft.text
        )

    def shown(self) -> dict[str, Any]:
        return {**asdict(self), "charged": list(self.charged)}


def read_price(raw: Any) -> Price:
    """A price as it came in JSON; raises `PriceError`."""
    if not isinstance(raw, dict):
        raise PriceError("a price is a JSON object")
    known = ("amount", "currency", "provider", "operation", "match", "per", "charged")
    if unknown := sorted(set(raw) - set(known)):
        raise PriceError(f"a price has {', '.join(known)}, and no {', '.join(map(repr, unknown))}")
    text = {name: str(raw[name]) for name in ("currency", "provider", "operation", "match", "per") if name in raw}
    if text.get("provider", "*") not in ("*", *PROVIDERS):
        raise PriceError(f"no provider is called {raw['provider']!r}; there are {', '.join(PROVIDERS)} and *")
    if text.get("per", "job") not in ("job", "output"):
        raise PriceError(f"per is job or output, not {raw['per']!r}")
    charged = raw.get("charged", [])
    if not isinstance(charged, list) or not set(charged) <= set(ENDS):
        raise PriceError(f"charged is a list of {', '.join(ENDS)}")
    return Price(_millionths(raw.get("amount")), charged=tuple(charged), **text)


def _millionths(amount: Any) -> int:
    try:
        millionths = Decimal(str(amount)) * MILLION
    except InvalidOperation:
        millionths = Decimal(-1)
    if not millionths.is_finite() or millionths < 0 or millionths != int(millionths):
        raise PriceError(f'amount is a number from 0 on, of millionths at the finest, such as "0.025", not {amount!r}')
    return int(millionths)


def label_of(key: str) -> str:
    """How the bill calls an account's key; '' for none. The key itself stands nowhere."""
    return hashlib.sha256(key.encode()).hexdigest()[:12] if key else ""


def priced(prices: Iterable[Price], draft: Draft) -> dict[str, Any]:
    """What a request costs, as its job keeps it; nothing where no price fits."""
    price = next((one for one in prices if one.fits(draft)), None)
    if price is None:
        return {}
    count = int(draft.details.get("count", 1)) if price.per == "output" else 1
    return {"millionths": price.millionths * count, "currency": price.currency, "charged": list(price.charged)}


def lines_of(job: Job, now: float) -> Iterator[dict[str, Any]]:
    """The lines of one purchase: itself, a failure that has come of it, and what was paid back."""
    amount = int(job.price.get("millionths", 0))
    common = {
        "provider": job.provider,
        "key": job.key,
        "id": job.id,
        "operation": job.operation,
        "reference": job.reference,
        "currency": job.price.get("currency", "USD"),
    }
    yield {**common, "kind": "purchase", "millionths": amount, "time": job.accepted_at}
    end = _FAILURES.get(job.glance(now))
    if end is None:
        return
    if end == "failed" and not job.fates.keys().isdisjoint(_MODERATIONS):
        end = "moderated"
    charged = end in job.price.get("charged", ())
    ended_at = float(job.fates.get("canceled", job.done_at))
    yield {**common, "kind": "failure", "millionths": 0, "time": ended_at, "end": end, "charged": charged}
    if amount and not charged:
        yield {**common, "kind": "refund", "millionths": -amount, "time": ended_at}


def bill(jobs: Iterable[Job], now: float) -> dict[str, Any]:
    """All lines in the order of the purchases, and what they come to for each provider, key and currency."""
    lines = [line for job in jobs for line in lines_of(job, now)]
    totals: Counter[tuple[str, str, str]] = Counter()
    for line in lines:
        totals[line["provider"], line["key"], line["currency"]] += line["millionths"]
    return {"lines": lines, "totals": [_total(*one, millionths) for one, millionths in sorted(totals.items())]}


def _total(provider: str, key: str, currency: str, millionths: int) -> Mapping[str, Any]:
    return {"provider": provider, "key": key, "currency": currency, "millionths": millionths}
