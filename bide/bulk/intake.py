"""The intake of a file of rows: each row is checked before anything is bought, then written as the feeder reads it."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from bide.bulk.copies import MOST_COPIES, Copies
from bide.bulk.reading import RawRow
from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError
from bide.ledger import AccountName
from bide.money.amounts import most_purchases
from bide.money.quote import Quote
from bide.printable import counted, printable
from bide.providers import find
from bide.providers.check import refuse_unknown, unknown_params_variable
from bide.providers.fallbacks import check_in_turn

#: Problems that an error lists; the others are counted.
MOST_PROBLEMS = 20

#: The size up to which the rows are kept in memory [bytes].
IN_MEMORY_BYTES = 8 * 1024 * 1024


_TOO_MANY_COPIES = f"line: is one of over {MOST_COPIES} that repeat others; each is bought once, remove the copies"

#: Lines that are named of rows without a price, by reason.
MOST_LINES = 10

#: Finds the fields that a validation error names.
_FIELD = re.compile(r"(?:^|; )([\w.]+): ")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a row, as `field: reason`; `line` counts the lines of the file, 0 where it is not known.

    The message holds nothing of the row, since it goes to logs and into the run's note.
    """

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass
class Unpriced:
    """Rows whose price is not known, for one reason: how many, and the first of their lines."""

    rows: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        self.rows += 1
        if line and len(self.lines) < MOST_LINES:
            self.lines.append(line)

    def __str__(self) -> str:
        """Which rows, for a person."""
        more = self.rows - len(self.lines)
        named = ", ".join(map(str, self.lines)) + (f" and {more} more" if more else "")
        return f"line{'' if self.rows == 1 else 's'} {named}" if self.lines else counted(self.rows, "row")


def _no_price(request: GenerateRequest) -> Quote:
    return Quote(None, "", reason=f"{request.provider} {request.operation} has no price")


@dataclass
class Intake:
    """The rows of a file, read and checked. `rows_file` holds a request a line; `close` closes it."""

    rows_file: IO[bytes]
    rows: int = 0
    digest: str = ""
    #: The first problems, and the number of all.
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    copies: Copies = field(default_factory=lambda: Copies({}))
    accounts: Counter[AccountName] = field(default_factory=Counter)
    #: The most that the first `most_jobs` jobs may cost, by currency [millionths]; and the jobs without a price.
    costs: Counter[str] = field(default_factory=Counter)
    #: The currencies of all prices, those of rows that the limit leaves out included.
    currencies: set[str] = field(default_factory=set)
    unpriced: dict[str, Unpriced] = field(default_factory=dict)
    #: Rows with params that bide does not know.
    unknown_params: int = 0
    refuses: Callable[[AccountName], bool] = lambda _: False
    quote: Callable[[GenerateRequest], Quote] = _no_price
    most_jobs: int | None = None
    #: That of rows that name none; None for none.
    tenant: str | None = None

    @property
    def jobs(self) -> int:
        """The number of jobs to buy: a row that repeats another is bought with it."""
        return self.rows - len(self.copies.first_of)

    def check(self) -> None:
        """Raise `InvalidRequestError`, naming the problems, or that there are no rows."""
        if self.problem_count:
            listed = "\n".join(f"  {printable(str(problem))}" for problem in self.problems)
            more = self.problem_count - len(self.problems)
            rest = f"\n  and {more} more" if more else ""
            raise InvalidRequestError(
                f"{counted(self.problem_count, 'row')} can't be bought, so none was:\n{listed}{rest}"
            )
        if not self.rows:
            raise InvalidRequestError("the file holds no rows")

    def close(self) -> None:
        self.rows_file.close()

    def add_problem(self, problem: Problem) -> None:
        """Count a problem; the first ones are listed."""
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def take_in(
    rows: Iterable[RawRow],
    *,
    refuses: Callable[[AccountName], bool] = lambda _: False,
    quote: Callable[[GenerateRequest], Quote] = _no_price,
    most_jobs: int | None = None,
    tenant: str | None = None,
) -> Intake:
    """Check all rows and write them down; `problems` lists what is wrong. The caller closes the intake.

    `refuses`: whether an account refuses params that bide does not know. `quote`: what a purchase of a request costs;
    `most_jobs`: the jobs that the run buys, None for all; `tenant`: that of rows that name none.
    """
    with ExitStack() as undone:
        file = undone.enter_context(tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES))
        intake = Intake(file, refuses=refuses, quote=quote, most_jobs=most_jobs, tenant=tenant)
        _read(rows, intake)
        undone.pop_all()
    return intake


def _read(rows: Iterable[RawRow], intake: Intake) -> None:
    digest, first_of = hashlib.sha256(), dict[int, int]()
    with closing(_FirstRows()) as first_rows:
        for raw in rows:
            request = _checked(raw, intake)
            if request is None or intake.problem_count:
                continue
            line = request.to_json().encode() + b"\n"
            intake.rows += 1
            intake.unknown_params += bool(find(request.provider).warnings(request.operation, request.params))
            intake.rows_file.write(line)
            digest.update(line)
            first = first_rows.first(request.fingerprint(), intake.rows)
            if first == intake.rows:
                _count(intake, request, raw.line)
            else:
                first_of[intake.rows] = first
            if len(first_of) > MOST_COPIES:
                intake.add_problem(Problem(raw.line, _TOO_MANY_COPIES))
                break
    intake.digest, intake.copies = digest.hexdigest(), Copies(first_of)


def checked(
    value: object, refuses: Callable[[AccountName], bool] = lambda _: False, tenant: str | None = None
) -> GenerateRequest:
    """A row's request, whose priority is always bulk; raises `InvalidRequestError`. See `take_in`."""
    if isinstance(value, dict) and value.get("idempotency_key") is not None:
        raise InvalidRequestError("idempotency_key: a row's key is made of its run and its number; leave it out")
    if isinstance(value, dict):
        value = {**({"tenant": tenant} if tenant else {}), **value, "priority": "bulk"}
    request = GenerateRequest.parse(value)
    check_in_turn(request, partial(_check, refuses=refuses))
    return request


def _check(request: GenerateRequest, *, refuses: Callable[[AccountName], bool]) -> None:
    """Raise `InvalidRequestError` for a request that its account would refuse."""
    operation = find(request.provider).check(request.operation, request.params, set(request.inputs))
    if refuses(AccountName.of(request)):
        refuse_unknown(operation.params, request.params, variable=unknown_params_variable(request.provider))


def _checked(raw: RawRow, intake: Intake) -> GenerateRequest | None:
    try:
        request, problem = _as_request(raw, intake), raw.problem
    except InvalidRequestError as error:
        request, problem = None, error.redacted
    except RecursionError:
        request, problem = None, "request: is nested too deeply"
    if request is None:
        intake.add_problem(Problem(raw.line, problem))
    return request


def _as_request(raw: RawRow, intake: Intake) -> GenerateRequest | None:
    """A row's request; None for a row that can't be read."""
    if raw.request is None:
        return None
    refused = dict[str, InvalidRequestError]()  # by field: the error that named it first
    while True:
        try:
            return checked(raw.request(refused.keys()), intake.refuses, intake.tenant)
        except InvalidRequestError as error:
            # A CSV holds nothing but texts: the fields that the error names may be meant as numbers.
            named = _FIELD.findall(str(error))
            if refused.keys() >= {*named}:
                raise refused[named[0]] if named else error from None
            refused = {**dict.fromkeys(named, error), **refused}


def _count(intake: Intake, request: GenerateRequest, line: int) -> None:
    """Count a job, and its cost. One behind `most_jobs` costs nothing, but needs a price: the limit can be raised."""
    intake.accounts[AccountName.of(request)] += 1
    quote = intake.quote(request)
    if quote.amount is None:
        intake.unpriced.setdefault(quote.reason, Unpriced()).add(line)
        return
    intake.currencies.add(quote.currency)
    if intake.most_jobs is None or intake.accounts.total() <= intake.most_jobs:
        intake.costs[quote.currency] += quote.amount * most_purchases(request)


class _FirstRows:
    """The first row of each request, by fingerprint: on disk, since there may be a million."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE first_rows (fingerprint TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def first(self, fingerprint: str, row: int) -> int:
        """The first row with this request, which may be `row` itself."""
        done = self._database.execute("INSERT OR IGNORE INTO first_rows VALUES (?, ?)", (fingerprint, row))
        if done.rowcount:
            return row
        [(first,)] = self._database.execute("SELECT row FROM first_rows WHERE fingerprint = ?", (fingerprint,))
        return int(first)

    def close(self) -> None:
        self._database.close()
