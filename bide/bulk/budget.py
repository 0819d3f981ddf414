"""The budget that a bulk run has of its own, its `--budget`: how it is written, and what it means to a purchase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from bide.bulk.intake import Intake
from bide.bulk.rates import check_budget, run_quotes
from bide.bulk.record import Options
from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError
from bide.money.amounts import millionths
from bide.money.budgets import Budget, run_budget_name
from bide.money.currencies import as_currency
from bide.money.quote import Quote

#: The states in which a run keeps its budget; what an operator does with rows of a run that is over is no matter of it.
_KEPT_IN = ("running", "paused", "canceling")


def as_budget(text: str, *, what: str) -> tuple[int, str]:
    """A budget as a person writes it, `5` or `5 USD`: its millionths, and its currency or ''.

    Raises `InvalidRequestError`, which names `what`.
    """
    number, _, currency = text.strip().partition(" ")
    try:
        unit = as_currency(currency.strip()) if currency else ""
    except ValueError as error:
        raise InvalidRequestError(f'{what}: the currency {error}; write 5, or "5 USD"') from None
    try:
        return millionths(number, what=what), unit
    except InvalidRequestError as error:
        raise InvalidRequestError(f'{error}; write 5, or "5 USD"') from None


def with_budget(options: Options, intake: Intake) -> Options:
    """The options of a run whose budget is in the currency of the rows' prices.

    Raises `InvalidRequestError` where the budget could not be kept, or names another currency.
    """
    if options.budget is None:
        return options
    currency = check_budget(intake)
    check_currency(options, currency)
    return replace(options, budget_currency=currency)


def check_currency(options: Options, currency: str) -> None:
    """Raise `InvalidRequestError` where a budget is in another currency than the prices of its run."""
    if currency and options.budget_currency not in ("", currency):
        raise InvalidRequestError(
            f"budget: is in {options.budget_currency}, and the prices of the run are in {currency}; "
            f"write it in {currency}, since bide converts nothing"
        )


@dataclass(frozen=True)
class RunBudget:
    """A run's own budget, for the purchase of one of its rows."""

    budget: Budget
    #: The prices that the run began with, as its record has them.
    prices: str
    currencies: str

    @classmethod
    def of(cls, run_id: str, record: Mapping[str, str | None]) -> Self | None:
        """The budget by fields of the run's record; None for a run that is over, or keeps none by the book."""
        currency = record.get("budget_currency")
        if not currency or record.get("state") not in _KEPT_IN:
            return None
        amount = int(float(record.get("budget") or 0))
        budget = Budget(run_budget_name(run_id), amount, currency, over="wait")
        return cls(budget, record.get("prices") or "", record.get("currencies") or "")

    def quote(self, request: GenerateRequest, present: Quote) -> Quote:
        """The price of a row by the run's own prices; the `present` one where these say nothing in its currency."""
        quote = run_quotes(self.prices, self.currencies).quote(request)
        return quote if quote.amount is not None and quote.currency == present.currency else present
