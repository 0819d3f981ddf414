"""Prices and rates for bulk runs, read from a deployment's environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bide import strict_json
from bide.bulk.intake import Intake
from bide.errors import InvalidRequestError
from bide.ledger import AccountName
from bide.money.amounts import amount, millionths
from bide.printable import counted

#: The warning about rows whose params pass unchecked.
UNKNOWN_PARAMS = "params that bide does not know; they go to the provider as they are, and the results name them"


def prices(environment: Mapping[str, str], providers: Iterable[str]) -> dict[str, int]:
    """The prices that are set, in millionths, by provider and operation; raises `InvalidRequestError`."""
    found = {}
    for provider in sorted(set(providers)):
        variable = f"BIDE_PROVIDERS__{provider.upper()}__PRICES"
        try:
            by_operation = strict_json.loads(environment.get(variable) or "{}")
        except strict_json.RepeatedNameError as error:
            raise InvalidRequestError(f"{variable}: {error}") from None
        except ValueError:
            by_operation = None
        if not isinstance(by_operation, dict):
            raise InvalidRequestError(f'{variable}: must be a JSON object such as {{"images.generation": 0.02}}')
        for operation, price in by_operation.items():
            found[f"{provider} {operation}"] = millionths(price, what=f"{variable}: {operation}")
    return found


def check_budget(intake: Intake, known: Mapping[str, int]) -> None:
    """Raise `InvalidRequestError` where a budget could not be kept, since an operation has no price."""
    if missing := sorted(intake.priced - set(known)):
        provider, operation = missing[0].split(" ")
        raise InvalidRequestError(
            f"budget: {', '.join(missing)} has no price; set BIDE_PROVIDERS__{provider.upper()}__PRICES "
            f'to a JSON object such as {{"{operation}": 0.02}}'
        )


@dataclass(frozen=True)
class Estimate:
    """What a run would buy, as far as that can be known before."""

    rows: int
    jobs: int
    accounts: Mapping[str, int]
    #: The least time that it takes at the rates that are set; None where an account has no rate.
    seconds: float | None
    cost: float
    #: Rows with params that bide does not know.
    unknown_params: int = 0

    def lines(self) -> list[str]:
        """The estimate as a person reads it."""
        repeated = self.rows - self.jobs
        return [
            f"{counted(self.rows, 'row')}, {counted(self.jobs, 'job')}"
            + (f" ({counted(repeated, 'row repeats another', 'rows repeat others')})" if repeated else ""),
            *(f"  {account}: {jobs}" for account, jobs in self.accounts.items()),
            f"at the set rates: {self.seconds:.0f} s at least" if self.seconds else "no SUBMITS_PER_SECOND is set",
            f"cost: {self.cost:g} at most" if self.cost else "cost: no PRICES are set",
            *([f"{self.unknown_params} rows have {UNKNOWN_PARAMS}"] if self.unknown_params else []),
        ]


def estimate(intake: Intake, environment: Mapping[str, str], *, max_jobs: int | None = None) -> Estimate:
    """What a run of these rows would buy; raises `InvalidRequestError` for prices that can't be read."""
    known = prices(environment, (account.provider for account in intake.accounts))
    accounts = intake.accounts.most_common()
    slowest = [_seconds(environment, account, jobs) for account, jobs in accounts]
    seconds = None if None in slowest else max(filter(None, slowest), default=None)
    return Estimate(
        rows=intake.rows,
        jobs=intake.jobs if max_jobs is None else min(intake.jobs, max_jobs),
        accounts={str(account): jobs for account, jobs in accounts},
        seconds=seconds,
        cost=amount(intake.cost(known)),
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
