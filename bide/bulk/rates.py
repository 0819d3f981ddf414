"""Prices and rates for bulk runs, read from a deployment's environment."""

from __future__ import annotations

import functools
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bide.bulk.intake import MOST_PROBLEMS, Intake, Unpriced
from bide.errors import InvalidRequestError
from bide.ledger import AccountName
from bide.money.amounts import exact
from bide.money.currencies import as_currency
from bide.money.price_list import EXAMPLE, read_prices
from bide.pricing import AccountPrices, Quotes
from bide.printable import counted
from bide.settings.prices import PriceSettings, ProviderPrices
from bide.settings.problems import Problem
from bide.settings.variables import Path, variable_name

T = TypeVar("T")

#: The variables of prices.
_VARIABLE = re.compile(r"BIDE_PROVIDERS__(?P<provider>\w+?)(__ACCOUNTS__(?P<account>\w+?))?__(PRICES|CURRENCY)")

#: What they may be.
_EXAMPLES = {"prices": EXAMPLE, "currency": "USD or credits"}

#: The warning about rows whose params pass unchecked.
UNKNOWN_PARAMS = "params that bide does not know; they go to the provider as they are, and the results name them"


def environment_quotes(environment: Mapping[str, str]) -> Quotes:
    """The prices that a deployment's variables have; raises `InvalidRequestError` with all that is wrong with them."""
    problems, found = list[Problem](), dict[str, AccountPrices]()
    for provider, accounts in _priced_accounts(environment).items():
        path: Path = ("providers", provider)
        shared = _stated(environment, path, problems)
        own = {name: _stated(environment, (*path, "accounts", name), problems) for name in sorted(accounts)}
        stated = ProviderPrices(provider, shared, own)
        problems += stated.problems()
        found |= stated.resolved()
    if problems:
        raise InvalidRequestError("\n".join(map(str, problems)))
    return Quotes(found)


def _priced_accounts(environment: Mapping[str, str]) -> dict[str, set[str]]:
    """The providers whose prices are set, each with its accounts that have prices of their own."""
    found = defaultdict[str, set[str]](set)
    for match in filter(None, map(_VARIABLE.fullmatch, sorted(environment))):
        provider, account = (match[name] or "" for name in ("provider", "account"))
        found[provider.lower()] |= {account.lower()} - {""}
    return found


def _stated(environment: Mapping[str, str], path: Path, problems: list[Problem]) -> PriceSettings:
    """What the variables of a provider or an account say; what can't be read is added to `problems`."""

    def read(name: str, reader: Callable[[str], T]) -> T | None:
        variable = variable_name((*path, name))
        try:
            return reader(text) if (text := environment.get(variable)) else None
        except ValueError as error:
            problems.append(Problem(variable, str(error), f"set it to one such as {_EXAMPLES[name]}"))
            return None

    return PriceSettings(read("prices", read_prices), read("currency", as_currency))


@functools.lru_cache(maxsize=64)
def run_quotes(prices: str, currencies: str) -> Quotes:
    """The prices of a run, by the texts of its record."""
    return Quotes.from_record(json.loads(prices or "{}"), json.loads(currencies or "{}"))


def check_budget(intake: Intake) -> str:
    """The currency of a budget for the rows: that of all their prices.

    Raises `InvalidRequestError` where a budget could not be kept: rows lack a price, or have two currencies.
    """
    if intake.unpriced:
        reasons = [f"{reason} ({rows})" for reason, rows in intake.unpriced.items()]
        more = len(reasons) - MOST_PROBLEMS
        listed = [*reasons[:MOST_PROBLEMS], *([f"and {more} more reasons"] if more > 0 else [])]
        raise InvalidRequestError(
            "\n  ".join(["budget: it could not be kept:", *listed]), redacted=f"budget: {'; '.join(listed)}"
        )
    if len(intake.currencies) > 1:
        raise InvalidRequestError(
            f"budget: the rows have prices in {' and '.join(sorted(intake.currencies))}: a budget is of one currency; "
            "begin a run for the rows of each"
        )
    [currency] = intake.currencies
    return currency


@dataclass(frozen=True)
class Estimate:
    """What a run would buy, as far as that can be known before."""

    rows: int
    jobs: int
    accounts: Mapping[str, int]
    #: The least time that it takes at the rates that are set; None where an account has no rate.
    seconds: float | None
    #: The most that it may cost, by currency [millionths]; and which of its jobs have no price, by reason.
    costs: Mapping[str, int]
    unpriced: Mapping[str, Unpriced] = field(default_factory=dict)
    #: Rows with params that bide does not know; and jobs that the run's limit leaves out.
    unknown_params: int = 0
    left_out: int = 0
    #: The run's own budget, in the one currency of the costs [millionths].
    budget: int | None = None

    def lines(self) -> list[str]:
        """The estimate as a person reads it."""
        repeated = self.rows - self.jobs - self.left_out
        return [
            f"{counted(self.rows, 'row')}, {counted(self.jobs, 'job')}"
            + (f" ({counted(repeated, 'row repeats another', 'rows repeat others')})" if repeated else ""),
            *([f"{counted(self.left_out, 'job')} left out by --max-jobs"] if self.left_out else []),
            *(f"  {account}: {jobs}" for account, jobs in self.accounts.items()),
            f"at the set rates: {self.seconds:.0f} s at least" if self.seconds else "no SUBMITS_PER_SECOND is set",
            *self._cost_lines(),
            *self._budget_lines(),
            *([f"{self.unknown_params} rows have {UNKNOWN_PARAMS}"] if self.unknown_params else []),
        ]

    def _budget_lines(self) -> Iterator[str]:
        if self.budget is None:
            return
        [(currency, cost)] = [*self.costs.items()] or [("", 0)]
        enough = "covers all of it" if cost <= self.budget else f"{exact(cost - self.budget)} {currency} short of that"
        more = "" if cost <= self.budget else ": the run may pause before its end"
        yield f"budget: {exact(self.budget)} {currency}".rstrip() + f", {enough}{more}"

    def _cost_lines(self) -> Iterator[str]:
        costs = [f"{exact(cost)} {currency}" for currency, cost in sorted(self.costs.items())]
        reasons = list(self.unpriced.items())
        if not costs and len(reasons) == 1:
            yield f"cost: not known: {reasons[0][0]}"
            return
        yield f"cost: {' and '.join(costs)} at most" if costs else "cost: not known"
        yield from (f"  without a price: {rows}: {reason}" for reason, rows in reasons[:MOST_PROBLEMS])
        if len(reasons) > MOST_PROBLEMS:
            yield f"  and {len(reasons) - MOST_PROBLEMS} more"


def estimate(
    intake: Intake, environment: Mapping[str, str], *, max_jobs: int | None = None, budget: int | None = None
) -> Estimate:
    """What a run of these rows would buy; raises `InvalidRequestError` for a rate that can't be read."""
    accounts, jobs = intake.accounts.most_common(), intake.jobs if max_jobs is None else min(intake.jobs, max_jobs)
    slowest = [_seconds(environment, account, jobs) for account, jobs in accounts]
    seconds = None if None in slowest else max(filter(None, slowest), default=None)
    return Estimate(
        rows=intake.rows,
        jobs=jobs,
        left_out=intake.jobs - jobs,
        budget=budget,
        accounts={str(account): jobs for account, jobs in accounts},
        seconds=seconds,
        costs=dict(intake.costs),
        unpriced=intake.unpriced,
        unknown_params=intake.unknown_params,
    )


def refuses_unknown_params(environment: Mapping[str, str], account: AccountName) -> bool:
    """Whether the deployment refuses params that bide does not know, by its variables."""
    return _of_account(environment, account, "UNKNOWN_PARAMS").strip() == "refuse"


def _of_account(environment: Mapping[str, str], account: AccountName, name: str) -> str:
    """A variable of an account, else of its provider; '' where neither is set."""
    shared = f"BIDE_PROVIDERS__{account.provider.upper()}__"
    own = f"{shared}ACCOUNTS__{account.account.upper()}__"
    return environment.get(f"{own}{name}") or environment.get(f"{shared}{name}") or ""


def _seconds(environment: Mapping[str, str], account: AccountName, jobs: int) -> float | None:
    try:
        rate = float(_of_account(environment, account, "SUBMITS_PER_SECOND") or "0")
    except ValueError:
        variable = f"BIDE_PROVIDERS__{account.provider.upper()}__SUBMITS_PER_SECOND"
        raise InvalidRequestError(f"{variable}: is not a number") from None
    return jobs / rate if rate > 0 else None
