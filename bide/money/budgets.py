"""A budget: what may be spent in a period, and on what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal, Self

from bide.errors import InvalidRequestError
from bide.money.quote import Quote

#: The share of a budget [%] from which on there is an alarm.
ALARM_PERCENT = 80

#: The period of a budget that has none.
ALL = "all"

#: What the name of a bulk run's own budget begins with; no budget of the file is named so.
_OF_RUN = "run:"


def run_budget_name(run_id: str) -> str:
    """The name of the budget that a bulk run has of its own: its `--budget`."""
    return f"{_OF_RUN}{run_id}"


def run_of(name: str) -> str:
    """The run whose own budget has this name; '' for a budget of the file."""
    return name.removeprefix(_OF_RUN) if name.startswith(_OF_RUN) else ""


def title(name: str) -> str:
    """A budget by its name, for people."""
    return f"budget of run {run}" if (run := run_of(name)) else f"budget {name}"


@dataclass(frozen=True)
class Budget:
    """One budget; what it does not name it has for all."""

    name: str
    #: Millionths of the currency.
    amount: int
    currency: str
    #: A day or a month of UTC; '' for as long as there is the budget.
    per: Literal["day", "month", ""] = ""
    #: What becomes of a job that it has no room for.
    over: Literal["refuse", "wait"] = "refuse"
    tenant: str = ""
    provider: str = ""
    #: `PROVIDER/ACCOUNT`.
    account: str = ""
    lane: str = ""

    def covers(self, *, tenant: str, account: str, lane: str) -> bool:
        """Whether a purchase counts; `account` is `PROVIDER/ACCOUNT`."""
        named = {
            self.tenant: tenant,
            self.provider: account.partition("/")[0],
            self.account: account,
            self.lane: lane,
        }
        return all(own == its for own, its in named.items() if own)

    def period(self, day: date) -> str:
        """The period that a day (UTC) falls into, as keys have it."""
        return {"day": day.isoformat(), "month": f"{day:%Y-%m}", "": ALL}[self.per]

    def to_json(self) -> str:
        """For the ledger, whose readers have no file of budgets."""
        return json.dumps({name: value for name, value in asdict(self).items() if value != ""})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The reverse of `to_json`; a field of a later release is passed over."""
        known: Mapping[str, object] = json.loads(text)
        return cls(**{name: value for name, value in known.items() if name in cls.__dataclass_fields__})  # type: ignore[arg-type]  # as `to_json` wrote them


@dataclass(frozen=True)
class BudgetStand:
    """How a budget stands in its present period; amounts in millionths."""

    budget: Budget
    period: str
    reserved: int
    spent: int
    #: Jobs that wait for it, in all accounts.
    waiting: int

    @property
    def percent(self) -> float:
        """The share that is reserved or spent [%]."""
        return 100 * (self.reserved + self.spent) / self.budget.amount if self.budget.amount else 100.0

    @property
    def alarm(self) -> bool:
        """Whether people should know."""
        return self.percent >= ALARM_PERCENT


def check_quote(quote: Quote, budgets: Iterable[Budget]) -> None:
    """Raise `InvalidRequestError` for a price that is not known, or in another currency than that of a budget."""
    for budget in budgets:
        if quote.amount is None:
            raise InvalidRequestError(
                f"price: is not known, and {title(budget.name)} needs one, so nothing was bought: {quote.reason}"
            )
        if quote.currency != budget.currency:
            raise InvalidRequestError(
                f"price: is in {quote.currency}, and {title(budget.name)} in {budget.currency}, so nothing was bought: "
                "an operator corrects the budget, or the account's currency"
            )
