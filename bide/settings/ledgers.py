"""The deployments that share one command line: each has its own ledger and broker, and accounts that no other has.

`BIDE_LEDGERS__<NAME>__BROKER_URL` and its neighbours name them. Workers go by their own `BIDE_BROKER_URL`, as ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlsplit

from bide.errors import ConfigurationError, InvalidRequestError
from bide.settings.reader import FILE_SUFFIX, read_secret

if TYPE_CHECKING:
    from bide.contract import GenerateRequest
    from bide.settings.named_ledger import NamedLedger

#: What the names of the variables begin with.
PREFIX = "BIDE_LEDGERS__"

#: The variables of a deployment that another one's replace as a whole.
OWN = ("BIDE_BROKER_URL", "BIDE_LEDGER_URL", "BIDE_RESULT_URL", "BIDE_SENTINEL_MASTER")

#: The ports of addresses that name none.
_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "amqp": 5672, "amqps": 5671}

#: The entry for all accounts that no ledger names.
OTHERS = "*"


@dataclass(frozen=True)
class Problem:
    """What is wrong with one variable of a ledger, and what to do about it."""

    ledger: str
    variable: str
    wrong: str
    remedy: str

    def __str__(self) -> str:
        name = f"{self.ledger}__{self.variable}" if self.variable else self.ledger
        return f"{PREFIX}{name.upper()}: {self.wrong}; {self.remedy}"


@dataclass(frozen=True)
class Ledgers:
    """The deployments by name."""

    sections: Mapping[str, NamedLedger]

    @property
    def names(self) -> list[str]:
        return sorted(self.sections)

    def environment(self, name: str) -> dict[str, str]:
        """The variables by which a client reaches one; raises `ConfigurationError` where there is none of that name."""
        if name not in self.sections:
            raise ConfigurationError(f"there is no ledger {name!r}; there are {', '.join(self.names)}")
        section = self.sections[name]
        values = (_broker(section), section.ledger_url, section.result_url, section.sentinel_master)
        return {variable: str(value) for variable, value in zip(OWN, values, strict=True) if value}

    def of_account(self, provider: str, account: str) -> str:
        """The ledger that has an account: the one that names it, its provider, or all others; '' where none does."""
        owners = {entry: name for name, section in self.sections.items() for entry in section.accounts}
        return next((owners[each] for each in (f"{provider}/{account}", provider, OTHERS) if each in owners), "")

    def of_provider(self, provider: str) -> set[str]:
        """The ledgers that name a provider or an account of it."""
        return {
            name
            for name, section in self.sections.items()
            if any(entry.partition("/")[0] == provider for entry in section.accounts)
        }

    def of_request(self, request: GenerateRequest) -> str:
        """The ledger that has the account of a request and those of its fallbacks; raises `InvalidRequestError`."""
        found = self._of(request.provider, request.account)
        for number, fallback in enumerate(request.fallbacks):
            other = self._of(fallback.provider, fallback.account)
            if other != found:
                raise InvalidRequestError(
                    f"fallbacks[{number}]: {fallback.provider}/{fallback.account} stands in the ledger {other}, and "
                    f"{request.provider}/{request.account} in {found}: a job can't move from one ledger to another"
                )
        return found

    def _of(self, provider: str, account: str) -> str:
        found = self.of_account(provider, account)
        if not found:
            raise InvalidRequestError(
                f"account: no ledger has {provider}/{account}: add it to {PREFIX}<NAME>__ACCOUNTS of the one that does"
            )
        return found


def read_ledgers(environment: Mapping[str, str]) -> Ledgers | None:
    """The deployments that an environment names, None where it names none; raises `ConfigurationError`.

    The value of a variable may stand in a file, which `..._FILE` names. An empty value is none.
    """
    fields: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for variable, value in sorted(environment.items()):  # a name comes before its `_FILE`
        if variable.startswith(PREFIX) and value:
            name, _, field = variable.removeprefix(PREFIX).lower().partition("__")
            base = field.removesuffix(FILE_SUFFIX.lower())
            if base == field:
                fields[name][field] = value
            elif base not in fields[name]:
                fields[name][base] = _content(variable, value)
    return _checked(fields) if fields else None


def _content(variable: str, path: str) -> str:
    content = read_secret(Path(path))
    if content is None:
        raise ConfigurationError(f"{variable}: names a file that is empty or can't be read; set it to a readable one")
    return content


def _checked(fields: Mapping[str, Mapping[str, str]]) -> Ledgers:
    from pydantic import ValidationError  # noqa: PLC0415 - takes a while, and most have one ledger

    from bide.settings.named_ledger import NamedLedger  # noqa: PLC0415 - takes a while, and most have one ledger

    sections, problems = {}, []
    for name, given in fields.items():
        try:
            sections[name] = NamedLedger.model_validate(given)
        except ValidationError as error:
            for details in error.errors(include_input=False, include_url=False):
                field = str(details["loc"][0])
                known = NamedLedger.model_fields.get(field)
                wrong = details["msg"].removeprefix("Value error, ") if known else "there is no such variable"
                remedy = f"set it to {known.description}" if known else "correct or remove it"
                problems.append(Problem(name, field, wrong, remedy))
    problems += problems_of(sections) if not problems else []
    if problems:
        raise ConfigurationError("\n".join(["the ledgers are not set up right:", *(f"  {each}" for each in problems)]))
    return Ledgers(sections)


def problems_of(sections: Mapping[str, NamedLedger]) -> Iterator[Problem]:
    """What is wrong with deployments together, or with what one of them lacks."""
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for name, section in sorted(sections.items()):
        if not _broker(section):
            yield Problem(name, "broker_url", "is not set", "set it to the BIDE_BROKER_URL of that deployment")
        elif not section.ledger_url and section.broker_url.startswith("amqp"):
            yield Problem(name, "ledger_url", "is not set, and the broker is no Redis", "set it to its BIDE_LEDGER_URL")
        for entry in section.accounts:
            owners[entry].append(name)
    yield from (_twice(entry, names) for entry, names in owners.items() if len(names) > 1)
    yield from _same_server(sections)


def _twice(entry: str, names: Sequence[str]) -> Problem:
    first, *_, last = names
    return Problem(last, "accounts", f"has {entry}, as {first} has", "leave it to one: an account stands in one ledger")


def _same_server(sections: Mapping[str, NamedLedger]) -> Iterator[Problem]:
    """Two names for one ledger would show each job twice, and on one broker messages come to workers of another."""
    seen: dict[tuple[str, str], str] = {}
    for name, section in sorted(sections.items()):
        for use, url in (("broker", _broker(section)), ("ledger", section.ledger_url or _broker(section))):
            place, variable = (
                _place(url, section.sentinel_master),
                f"{use}_url" if getattr(section, f"{use}_url") else "broker_url",
            )
            if place and (other := seen.setdefault((use, place), name)) != name:
                yield Problem(name, variable, f"leads to the {use} of {other}", "give each a server of its own")
                break


def _broker(section: NamedLedger) -> str:
    """Where its broker is: one address of a Redis is enough for all."""
    return section.broker_url or section.ledger_url or section.result_url


def _place(address: str, sentinel_master: str) -> str:
    """A server and its database in one spelling, whatever the scheme and the user; '' for no address."""
    from bide.redis_address import NEXT_ADDRESS  # noqa: PLC0415 - takes a while, and most have one ledger
    from bide.redis_client import SENTINEL_MASTER  # noqa: PLC0415 - as above

    parts = sorted(_server(part) for part in NEXT_ADDRESS.split(address) if part)
    led = sentinel_master or SENTINEL_MASTER
    return ";".join([*parts, led] if address.startswith("sentinel:") else parts)


def _server(part: str) -> str:
    address = urlsplit(part)
    if address.scheme.startswith("amqp"):
        return f"{_host(address)}:{address.port or _PORTS[address.scheme]} {address.path[1:] or '/'}"
    databases = parse_qs(address.query).get("db", [])
    if address.scheme == "unix":
        return " ".join([address.path, *(databases or ["0"])])
    [database, *_] = [*databases, address.path.strip("/") or "0"]
    return f"{_host(address)}:{address.port or _PORTS[address.scheme]} {database}"


def _host(address: SplitResult) -> str:
    host = address.hostname or ""
    return "localhost" if host in ("127.0.0.1", "::1") else host
