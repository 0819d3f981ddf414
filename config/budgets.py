"""Budgets: `config/budgets.toml`, read strictly, with all its problems reported at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bide.errors import InvalidRequestError
from bide.money.amounts import millionths
from bide.money.budget_names import Names
from bide.money.budgets import Budget
from bide.settings.credentials import provider_names
from bide.settings.model import Settings, currency_of
from bide.settings.problems import ConfigurationProblems, Problem
from bide.settings.tenants import ANY_OTHER
from bide.spelling import nearest
from bide.wire import Name

BUDGETS_FILE = Path(__file__).with_name("budgets.toml")

#: The form of a budget's name, which stands in records and keys.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")

#: The most budgets of one file: each has some time series.
MOST_BUDGETS = 100


@dataclass(frozen=True)
class Known:
    """What budgets may name: the providers, and the currency of an account."""

    providers: Sequence[str]
    #: Of provider and account; '' where the account has no settings here.
    currency: Callable[[str, str], str]
    #: The accounts of a provider that the settings speak of.
    accounts: Callable[[str], Sequence[str]]


def _amount(value: object) -> object:
    try:
        millionths(value, what="")
    except InvalidRequestError as error:
        raise ValueError(str(error).removeprefix(": ")) from None
    return value


class BudgetTable(BaseModel):
    """A table `[budgets.NAME]`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    amount: Annotated[int | float | Decimal, AfterValidator(_amount)] = Field(
        description="the money that may be spent in a period, such as 250 or 0.5"
    )
    currency: str = Field(description='that of the accounts that it is for, such as "USD"')
    per: Literal["day", "month"] | None = Field(
        None, description='"day" or "month" (UTC); leave it out for a budget of all time'
    )
    over: Literal["refuse", "wait"] = Field(
        "refuse", description='"refuse" (jobs that it has no room for fail) or "wait" (they wait for the next period)'
    )
    tenant: Name | None = Field(None, description="the tenant that it is for")
    provider: Name | None = Field(None, description="the provider that it is for")
    account: Name | None = Field(None, description="the account that it is for, beside its provider")
    lane: str | None = Field(None, min_length=1, description="the lane that it is for, such as a model")


def load(file: Path, known: Known) -> tuple[Budget, ...]:
    """The budgets of a file, by name; none where there is no file. Raises `ConfigurationProblems` with all of them."""
    problems: list[Problem] = []
    text = _read(file, problems)
    document = _parsed(file, text, problems)
    places = Places(file, text)
    tables, tenants = _tables(document, places, problems), _tenants(document, places, problems)
    found = []
    for name, table in tables.items():
        wrong = list(_mistakes(name, table, places))
        problems += wrong
        if isinstance(table, dict):
            problems += _unknown(f"budgets.{name}", _texts(table), tenants, known, places)
        if not wrong:
            found.append(_budget(name, BudgetTable.model_validate(table)))
    if problems:
        raise ConfigurationProblems(problems)
    return tuple(sorted(found, key=lambda budget: budget.name))


class Places:
    """Finds the lines of a file."""

    def __init__(self, file: Path, text: str) -> None:
        self._file, self._lines = file, text.splitlines()

    def problem(self, table: str, key: str, wrong: str, remedy: str) -> Problem:
        """A problem with its file, line, table and key."""
        place = f"{table}.{key}" if key else table
        return Problem(f"{self._file.name}{self._line(table, key)}: {place}", wrong, remedy)

    def _line(self, table: str, key: str) -> str:
        """`, line N` of a key, or of its table; '' where neither is found, as in an inline table."""
        header = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]")
        begin = next((at for at, line in enumerate(self._lines) if header.match(line)), None)
        if begin is None:
            return ""
        for at in range(begin + 1, len(self._lines)):
            if self._lines[at].lstrip().startswith("["):
                break
            if key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", self._lines[at]):
                return f", line {at + 1}"
        return f", line {begin + 1}"


def _read(file: Path, problems: list[Problem]) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if file != BUDGETS_FILE:
            problems.append(Problem(file.name, "is not there", f"put the file at {file}, or correct BIDE_BUDGETS"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(file.name, f"can't be read ({error})", f"put a readable file at {file}"))
    return ""


def _parsed(file: Path, text: str, problems: list[Problem]) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except ValueError as error:
        problems.append(Problem(file.name, f"is not TOML: {error}", "correct that line"))
        return {}


def _tables(document: dict[str, Any], places: Places, problems: list[Problem]) -> Mapping[str, Any]:
    strange = sorted(document.keys() - {"budgets", "tenants"})
    problems += [places.problem(name, "", "is not known", "write tables [budgets.NAME], [tenants]") for name in strange]
    tables = document.get("budgets", {})
    if not isinstance(tables, dict):
        problems.append(places.problem("budgets", "", "is not a table", "write a table [budgets.NAME]"))
        return {}
    if len(tables) > MOST_BUDGETS:
        problems.append(places.problem("budgets", "", f"has more than {MOST_BUDGETS} budgets", "take some out"))
    return tables


def _tenants(document: dict[str, Any], places: Places, problems: list[Problem]) -> list[str] | None:
    """The tenants that the file lists; None where it lists none, so that any may be named."""
    if "tenants" not in document:
        return None
    table = document["tenants"]
    known = table.get("known") if isinstance(table, dict) else None
    if not (isinstance(known, list) and all(isinstance(each, str) for each in known) and table.keys() == {"known"}):
        remedy = 'write [tenants] and known = ["acme", "globex"], or leave the table out'
        problems.append(places.problem("tenants", "", "is no list of tenants", remedy))
        return None
    return known


def _mistakes(name: str, table: object, places: Places) -> Iterator[Problem]:
    """What is wrong with a budget by itself."""
    place = f"budgets.{name}"
    if not NAME.fullmatch(name):
        remedy = "use up to 48 small letters, digits, - and _, a letter or digit first"
        yield places.problem(place, "", "can't be the name of a budget", remedy)
    if not isinstance(table, dict):
        yield places.problem(place, "", "is not a table", f"write a table [{place}]")
        return
    try:
        BudgetTable.model_validate(table)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        first = {each["loc"][0]: each for each in reversed(details)}  # a union has one for each of its types
        yield from (_wrong(place, each, places) for each in reversed(first.values()))
    if table.get("account") and not table.get("provider"):
        remedy = "name its provider beside it, since each provider has accounts of its own"
        yield places.problem(place, "account", "has no provider", remedy)


def _budget(name: str, read: BudgetTable) -> Budget:
    return Budget(
        name,
        millionths(read.amount, what="amount"),
        read.currency,
        read.per or "",
        read.over,
        tenant=read.tenant or "",
        provider=read.provider or "",
        account=f"{read.provider}/{read.account}" if read.account else "",
        lane=read.lane or "",
    )


def _texts(table: Mapping[str, object]) -> dict[str, str]:
    """What a table names; '' for what it does not name, or not as a text."""
    return {key: value if isinstance(value := table.get(key), str) else "" for key in BudgetTable.model_fields}


def _wrong(place: str, details: Any, places: Places) -> Problem:
    key = str(details["loc"][0])
    if details["type"] == "extra_forbidden":
        meant = nearest(key, BudgetTable.model_fields)
        remedy = f"did you mean {meant}?" if meant else f"there are {', '.join(BudgetTable.model_fields)}"
        return places.problem(place, key, "is not known", remedy)
    wrong = "is missing" if details["type"] == "missing" else _words(details["msg"])
    if key == "amount" and details["type"] == "int_type":  # the first of its types
        wrong = "must be a number"
    return places.problem(place, key, wrong, f"set it to {BudgetTable.model_fields[key].description}")


def _words(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must")


def _unknown(
    place: str, named: Mapping[str, str], tenants: list[str] | None, known: Known, places: Places
) -> Iterator[Problem]:
    """What a budget names and there is not."""
    tenant, provider, account = named["tenant"], named["provider"], named["account"]
    if tenant and tenants is not None and tenant not in tenants:
        meant = nearest(tenant, tenants)
        remedy = f"did you mean {meant}?" if meant else "add it to known of [tenants]"
        yield places.problem(place, "tenant", f"{tenant} is no tenant that [tenants] lists", remedy)
    if provider and provider not in known.providers:
        meant = nearest(provider, known.providers)
        remedy = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(known.providers))}"
        yield places.problem(place, "provider", f"{provider} is no provider that there is here", remedy)
        return
    if account and provider and (meant := _meant_account(account, known.accounts(provider))):
        words = f"{account} is no account of {provider} that the settings have"
        yield places.problem(place, "account", words, f"did you mean {meant}?")
    for each, name in _accounts(provider, account, known) if named["currency"] else ():
        currency = known.currency(each, name)
        if currency and currency != named["currency"]:
            remedy = f'set it to "{currency}", or name other accounts: amounts of two currencies are never added up'
            yield places.problem(
                place, "currency", f"is {named['currency']}, and {each}/{name} is in {currency}", remedy
            )
            return


def _meant_account(account: str, there: Sequence[str]) -> str | None:
    """The account that a misspelt one was most likely meant as."""
    return None if account in there else nearest(account, there)


def _accounts(provider: str, account: str, known: Known) -> Iterator[tuple[str, str]]:
    """The accounts of the settings that a budget is for."""
    for each in [provider] if provider else known.providers:
        yield from ((each, name) for name in ([account] if account and provider else known.accounts(each)))


def file_of(settings: Settings) -> Path:
    """The file of budgets that the settings name."""
    return Path(settings.budgets) if settings.budgets else BUDGETS_FILE


def names_of(settings: Settings) -> Names:
    """The names that the settings speak of: accounts, tenants with caps, lanes with prices."""
    found = Names()
    for provider, shared in settings.providers.items():
        for section in (shared, *shared.accounts.values()):
            tenants = frozenset(each.tenant for each in section.tenants or ()) - {ANY_OTHER}
            lanes = frozenset(name.partition(" ")[2] for name, _ in section.prices or ()) - {""}
            accounts = frozenset(f"{provider}/{account}" for account in settings.accounts_of(provider))
            found |= Names(accounts, tenants, lanes)
    return found


def load_for(settings: Settings, file: Path | None = None) -> tuple[Budget, ...]:
    """The budgets that are in force with these settings; raises `ConfigurationProblems` with all of their problems."""
    currency = partial(currency_of, settings)
    return load(file or file_of(settings), Known(provider_names(), currency, settings.accounts_of))
