"""The adapter of a provider's file: an adapter like any other, whose calls and readers were compiled from tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from bide.errors import InvalidRequestError, PollFailedError, UnreadableAnswerError
from bide.money.expressions import Price
from bide.polling.backoff import PollPlan
from bide.providers import reading
from bide.providers.base import Provider
from bide.providers.cancels import Cancels
from bide.providers.declared.answers import RESULT, PollReader, SubmitReader, error_words, words_at
from bide.providers.declared.calls import may_lack, request, texts
from bide.providers.declared.outputs import reader
from bide.providers.declared.params import defaults, params_model
from bide.providers.declared.paths import JsonPath
from bide.providers.declared.sections import CatalogTable, Document, OperationTable, PollPlanTable
from bide.providers.declared.templates import ABSENT, UnfilledError, Values, as_text, compiled
from bide.providers.exchange import Account, Answer, Call, Submission, Ticket, Upload
from bide.providers.idempotency import Idempotency
from bide.providers.offering import Catalog, InputForm, Operation
from bide.providers.outcomes import Canceled, PollOutcome, SubmitOutcome
from bide.providers.states import NO_REASON
from bide.webhooks.incoming import Hooks

Make = Callable[[Values, Account], Call]

#: In place of addresses where a call is made to see whether it can be.
STAND_IN = "https://stand-in.invalid"


class Compiled:
    """One operation of a file, ready for use."""

    def __init__(self, document: Document, name: str, table: OperationTable, wait: Callable[[Answer], float | None]):
        headers, errors, outputs = document.auth.headers, document.provider.errors, reader(table.result)
        fetches = bool(table.result.path or table.result.url)
        self.table, self.defaults = table, defaults(table)
        self.submit: Make = request(table.submit, headers)
        self.poll: Make = request(table.poll, headers)
        self.result: Make = request(table.result, headers) if fetches else self.poll
        self.cancel: Make | None = request(table.cancel, headers) if table.cancel else None
        self.lane = compiled(table.lane) if table.lane else None
        self.reads_submit = SubmitReader(table, errors, outputs, wait)
        self.reads_poll = PollReader(table, errors, outputs, wait, fetches=fetches)
        self.may_lack = may_lack(table)
        self.offered = _operation(document.provider.name, name, table)


class Declared(Provider):
    """A provider of a file. Each file has a class of its own, with what the file says of itself."""

    document: ClassVar[Document]
    price_source = "file"

    def __init__(self) -> None:
        document = self.document
        self._retry_after: list[JsonPath] = document.provider.retry_after or []
        self._errors = document.provider.errors
        self._compiled = {
            name: Compiled(document, name, table, self.wait_seconds) for name, table in document.operations.items()
        }
        self.operations = {name: each.offered for name, each in self._compiled.items()}  # type: ignore[misc]  # per file
        self._catalog_calls = {
            name: request(table, {} if table.public else document.auth.headers)
            for name, table in document.catalogs.items()
        }
        self._stand_in = Account(
            STAND_IN, "x", Hooks(STAND_IN, "x", self.name, "x"), secrets=dict.fromkeys(self.credentials, "x")
        )
        self._media_headers = texts(document.auth.headers) if document.auth.media else None

    # Calls

    def submit_call(self, submission: Submission, account: Account) -> Call:
        operation = self._compiled[submission.operation]
        try:
            return operation.submit(self._submit_values(operation, submission, account), account)
        except UnfilledError as error:
            raise InvalidRequestError(str(error)) from None

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        operation = self._compiled[ticket.operation]
        make = operation.result if ticket.cursor == RESULT else operation.poll
        try:
            return make(_ticket_values(ticket, account), account)
        except UnfilledError as error:
            raise PollFailedError(f"no request can be made: {error}, and the record of the job has it not") from None

    def catalog_call(self, catalog: str, arguments: Mapping[str, str], account: Account) -> Call:
        make = self._catalog_calls.get(catalog)
        if make is None:
            return super().catalog_call(catalog, arguments, account)
        try:
            return make({"arguments": arguments, **_secrets(account)}, account)
        except UnfilledError as error:
            raise InvalidRequestError(
                f"{str(error).removeprefix('arguments.')}; the catalog {catalog} needs it"
            ) from None

    def media_headers(self, account: Account) -> Mapping[str, str]:
        return self._media_headers(_secrets(account)) if self._media_headers else {}

    # Answers

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        return self._compiled[submission.operation].reads_submit.read(answer)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        return self._compiled[ticket.operation].reads_poll.read(answer, ticket.cursor)

    def read_catalog(self, catalog: str, answer: Answer) -> list[dict[str, Any]]:
        table = self.document.catalogs.get(catalog)
        return super().read_catalog(catalog, answer) if table is None else _entries(table, answer, self._errors)

    def trouble(self, answer: Answer, ticket: Ticket) -> None:
        if not self._compiled[ticket.operation].reads_poll.speaks_of_the_job(answer, ticket.cursor):
            super().trouble(answer, ticket)

    def error_text(self, answer: Answer) -> str:
        return error_words(answer, self._errors)

    def wait_seconds(self, answer: Answer) -> float | None:
        if not self._retry_after:
            return answer.retry_after_seconds
        try:
            body = answer.object()
        except UnreadableAnswerError:
            return answer.retry_after_seconds
        stated = (reading.as_positive(path.first(body)) for path in self._retry_after)
        return next(filter(None, stated), None) or answer.retry_after_seconds

    # What it takes

    def check(self, operation: str, params: Mapping[str, Any], input_names: set[str]) -> Operation:
        known = super().check(operation, params, input_names)
        compiled_operation = self._compiled[operation]
        for names in compiled_operation.table.one_of:
            if not any(params.get(name) not in (None, "", [], {}) or name in input_names for name in names):
                raise InvalidRequestError(_needs_one_of(names))
        if compiled_operation.may_lack:
            self._check_call(operation, params, input_names)
        return known

    def _check_call(self, operation: str, params: Mapping[str, Any], input_names: set[str]) -> None:
        """What the file's templates need, before anything is bought: the call is made once with stand-ins."""
        inputs = {name: Upload(name, url=STAND_IN) for name in input_names}
        try:
            self.submit_call(Submission("job", operation, params, inputs, key="x"), self._stand_in)
        except InvalidRequestError as error:
            raise InvalidRequestError(str(error), redacted="params: lack what the call needs") from None

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        made = self._compiled[operation].lane
        if made is None:
            return ""
        try:
            lane = made({"params": self.with_defaults(operation, params)})
        except UnfilledError:
            return ""
        return "" if lane is ABSENT else as_text(lane)

    def price(self, operation: str, params: Mapping[str, Any]) -> Price | None:
        prices = self._compiled[operation].table.price
        return prices.get(self.lane(operation, params)) or prices.get("*")

    def prices(self, operation: str) -> Mapping[str, Price]:
        return self._compiled[operation].table.price

    def with_defaults(self, operation: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**self._compiled[operation].defaults, **params}

    def _submit_values(self, operation: Compiled, submission: Submission, account: Account) -> Values:
        form = operation.offered.inputs
        params = {**operation.defaults, **submission.params} if operation.defaults else submission.params
        values = {
            "params": params,
            "inputs": {name: _input(upload, form) for name, upload in submission.inputs.items()},
            "job_id": submission.job_id,
            "operation": submission.operation,
            **_secrets(account),
        }
        if submission.key:
            values["key"] = submission.key
        if account.hooks is not None:
            values["hook"] = account.hooks.address(submission.job_id)
        return values


class DeclaredWithCancel(Declared, Cancels):
    """A provider of a file that has a call which stops a job."""

    def cancel_call(self, ticket: Ticket, account: Account) -> Call | None:
        make = self._compiled[ticket.operation].cancel
        try:
            return make and make(_ticket_values(ticket, account), account)
        except UnfilledError:
            return None

    def read_cancel(self, answer: Answer, ticket: Ticket, account: Account) -> Canceled:
        table = self._compiled[ticket.operation].table.cancel
        if table is None or answer.status not in (*table.stopped, *table.requested, *table.too_late):
            return Canceled.UNKNOWN
        if answer.status in table.stopped:
            return Canceled.STOPPED
        return Canceled.REQUESTED if answer.status in table.requested else Canceled.TOO_LATE


def adapter_class(document: Document) -> type[Declared]:
    """The class of a file's adapter."""
    provider = document.provider
    cancels = any(table.cancel for table in document.operations.values())
    attributes = {
        "__module__": __name__,
        "__doc__": f"The provider {provider.name}, of a file.",
        "document": document,
        "name": provider.name,
        "default_base_url": provider.base_url,
        "hosts": tuple(provider.hosts),
        "version": provider.version,
        "operations": {},
        "poll_plan": _plan(provider.poll),
        "deadline_seconds": provider.deadline_seconds,
        "results_live_seconds": provider.results_live_seconds,
        "unknown_grace_seconds": provider.unknown_grace_seconds,
        "credentials": tuple(document.auth.credentials),
        "catalogs": {name: Catalog(table.about, tuple(table.arguments)) for name, table in document.catalogs.items()},
        "source": provider.source,
        "priced": frozenset(name for name, table in document.operations.items() if table.price),
        "currency": provider.currency,
    }
    return type(provider.name, (DeclaredWithCancel if cancels else Declared,), attributes)


def _needs_one_of(names: list[str]) -> str:
    if len(names) == 1:
        return f"params.{names[0]}: is required, as a field here or as a picture in inputs"
    return f"params: one of {', '.join(names)} is required"


def _operation(provider: str, name: str, table: OperationTable) -> Operation:
    promise = table.idempotency
    return Operation(
        params=params_model(provider, name, table),
        inputs=InputForm(table.inputs) if table.inputs else None,
        required_inputs=frozenset(table.required_inputs),
        allowed_inputs=None if table.allowed_inputs is None else frozenset(table.allowed_inputs),
        poll_plan=_plan(table.poll_plan) if table.poll_plan else None,
        deadline_seconds=table.deadline_seconds,
        has_outputs=table.has_outputs,
        kinds=frozenset(table.kinds),
        buys=table.buys,
        idempotency=Idempotency(promise.contract, promise.live_seconds) if promise else None,
    )


def _plan(table: PollPlanTable) -> PollPlan:
    return PollPlan(table.first_seconds, table.factor, table.cap_seconds)


def _secrets(account: Account) -> dict[str, str]:
    return {"api_key": account.api_key, **account.secrets}


def _ticket_values(ticket: Ticket, account: Account) -> Values:
    values = {"id": ticket.provider_job_id, "handle": ticket.handle or {}, "api_key": account.api_key}
    return {**values, **account.secrets} if account.secrets else values


def _input(upload: Upload, form: InputForm | None) -> Any:
    if form is InputForm.FILE:
        return (upload.name, upload.content, upload.content_type)
    return upload.base64 if form is InputForm.BASE64 else upload.url


def _entries(table: CatalogTable, answer: Answer, errors: list[JsonPath]) -> list[dict[str, Any]]:
    """The first of the places that holds a list."""
    body = answer.json()
    if table.refused and reading.as_text(table.refused.at.first(body)).lower() in table.refused.words:
        raise UnreadableAnswerError(f"it is refused: {words_at(errors, body) or NO_REASON}")
    for path in table.entries:
        if isinstance(found := path.first(body), list):
            return reading.records(found)
    raise UnreadableAnswerError("a catalog that is not a list")
