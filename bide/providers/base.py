"""What an adapter is: it builds calls and reads answers, and nothing else.

An adapter never sleeps, retries, reads the environment, logs or knows Celery. It is pure: the same job gives the same
call, the same answer the same outcome. Everything with a clock, a socket or a store happens above it.

What passes through its methods stands in `exchange`, what it says of itself in `offering`, both are offered here too;
`reading` and `refusal` hold what the reading of most answers has in common.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bide.contract import Charged, FailureCause
from bide.errors import InvalidRequestError, PollFailedError, SubmissionUnknownError, UnreadableAnswerError
from bide.money.currencies import USD
from bide.money.expressions import Price
from bide.money.quote import PriceSource
from bide.params.base import Params
from bide.polling.backoff import PollPlan
from bide.providers.cancels import Cancels
from bide.providers.check import check_inputs, check_params, warnings_of
from bide.providers.completion import check_handle, hidden_poll, hidden_submit, with_cause
from bide.providers.costs import Cost
from bide.providers.exchange import (
    MAX_CURSOR_CHARACTERS,
    MAX_HANDLE_BYTES,
    Account,
    Answer,
    Call,
    Submission,
    Ticket,
    Upload,
)
from bide.providers.idempotency import Contract, Idempotency
from bide.providers.listing import Asked, ListsJobs
from bide.providers.lookup import Absent, Found, LooksUp, Lookup, LookupOutcome
from bide.providers.masking import hiding
from bide.providers.offering import Catalog, InputForm, MediaKind, Operation
from bide.providers.outcomes import (
    MAX_FALLBACKS,
    Canceled,
    Failed,
    FetchNow,
    Finished,
    JobOutcome,
    KeyTaken,
    Listed,
    Listing,
    Media,
    PollOutcome,
    Refused,
    Running,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Unknown,
)
from bide.providers.progress import Progress
from bide.providers.reading import as_text, error_text
from bide.providers.refusal import check_code, poll_trouble, refusal_by_status, weigh

__all__ = [
    "MAX_CURSOR_CHARACTERS",
    "MAX_FALLBACKS",
    "MAX_HANDLE_BYTES",
    "Absent",
    "Account",
    "Answer",
    "Asked",
    "Call",
    "Canceled",
    "Cancels",
    "Catalog",
    "Charged",
    "Contract",
    "Cost",
    "Failed",
    "FailureCause",
    "FetchNow",
    "Finished",
    "Found",
    "Idempotency",
    "InputForm",
    "JobOutcome",
    "KeyTaken",
    "Listed",
    "Listing",
    "LooksUp",
    "Lookup",
    "LookupOutcome",
    "Media",
    "MediaKind",
    "Operation",
    "Params",
    "PollOutcome",
    "PollPlan",
    "Price",
    "Progress",
    "Provider",
    "Refused",
    "Running",
    "Submission",
    "SubmitOutcome",
    "Submitted",
    "Succeeded",
    "Ticket",
    "Unknown",
    "Upload",
    "as_text",
    "error_text",
    "poll_trouble",
    "refusal_by_status",
]


class Provider(ListsJobs, ABC):
    """One provider's API. Subclass it in a file of its own; `docs/add-a-provider.md` walks through one."""

    #: File name, name in requests, settings, metrics and logs.
    name: ClassVar[str]
    #: None: the provider has no public address, it must be configured.
    default_base_url: ClassVar[str | None]
    #: Hosts besides that of the base URL to which the account's key may go, where an answer names an address to call:
    #: `host`, `host:port`, or `*.host` for all hosts below it.
    hosts: ClassVar[tuple[str, ...]] = ()
    #: Kept with each job that this adapter buys, and given back in its tickets: raise it where jobs bought before are
    #: to be read in another way.
    version: ClassVar[str] = "1"
    operations: ClassVar[Mapping[str, Operation]]
    poll_plan: ClassVar[PollPlan] = PollPlan(first_seconds=2.0, factor=2.0, cap_seconds=30.0)
    #: How long a job may take from first to last [seconds], unless its request or the settings say otherwise.
    deadline_seconds: ClassVar[float] = 1800.0
    #: How long the provider keeps a finished result [seconds], as documented or safely assumed.
    results_live_seconds: ClassVar[float] = 24 * 3600.0
    #: For how long a job is looked for that is `Unknown`, be it for replication lag or an edge's mistake [seconds].
    unknown_grace_seconds: ClassVar[float] = 10.0
    #: The names of the secrets that an account must have, each a setting. `api_key` may be set besides, as for a proxy.
    credentials: ClassVar[tuple[str, ...]] = ("api_key",)
    catalogs: ClassVar[Mapping[str, Catalog]] = {}
    #: Fields of an error body that may hold the provider's words, the best first.
    error_fields: ClassVar[tuple[str, ...]] = ("message", "detail", "error")
    #: Operations whose price the provider documents: `price` knows them. Guesses do not belong here.
    priced: ClassVar[frozenset[str]] = frozenset()
    #: The unit of these prices: a currency of ISO 4217, or the provider's own, such as `credits`.
    currency: ClassVar[str] = USD
    #: Who has these prices, for those who ask what an amount was worked out from.
    price_source: ClassVar[PriceSource] = "adapter"
    #: Where a rule of this adapter comes from.
    source: ClassVar[str] = ""

    # Calls

    @abstractmethod
    def submit_call(self, submission: Submission, account: Account) -> Call:
        """The one request that buys."""

    @abstractmethod
    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        """The request that asks about one job."""

    def catalog_call(self, catalog: str, arguments: Mapping[str, str], account: Account) -> Call:
        """The request for one of `catalogs`; raises `InvalidRequestError` for any other."""
        offered = ", ".join(sorted(self.catalogs)) or "none"
        raise InvalidRequestError(f"catalog: {self.name} offers {offered}, not {catalog!r}")

    def media_headers(self, account: Account) -> Mapping[str, str]:
        """Headers for downloads from the origin of the base URL, such as its key; they go to no other origin."""
        return {}

    # Answers: only 2xx, and whatever `refusal` and `trouble` leave to the body, reach these.

    @abstractmethod
    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        """Raises `SubmissionUnknownError` or `UnreadableAnswerError` when the answer does not say."""

    @abstractmethod
    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        """Raises `PollFailedError`, `AccountRefusedError` or `UnreadableAnswerError`."""

    def read_catalog(self, catalog: str, answer: Answer) -> list[dict[str, Any]]:
        """The entries of a catalog; raises `UnreadableAnswerError`."""
        raise UnreadableAnswerError(f"{self.name} has no catalog {catalog!r}")

    # Shared

    def check(self, operation: str, params: Mapping[str, Any], input_names: set[str]) -> Operation:
        """Check what the adapter knows of a request before anything is bought; raises `InvalidRequestError`."""
        known = self.operations.get(operation)
        if known is None:
            offered = ", ".join(sorted(self.operations))
            raise InvalidRequestError(
                f"operation: {self.name} has no {operation!r}; it has {offered}",
                redacted=f"operation: {self.name} has none of that name; it has {offered}",
            )
        check_params(known.params, params)
        check_inputs(self.name, operation, known, input_names)
        return known

    def warnings(self, operation: str, params: Mapping[str, Any]) -> tuple[str, ...]:
        """What a caller should know of params that pass the check: the fields that go out unchecked."""
        known = self.operations.get(operation)
        return warnings_of(known.params, params) if known else ()

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        """What durations, the breaker and prices depend on within an operation, usually the model; '' for nothing."""
        return ""

    def price(self, operation: str, params: Mapping[str, Any]) -> Price | None:
        """What one purchase costs, for those of `priced` whose params have a documented price; None for any other."""
        return None

    def prices(self, operation: str) -> Mapping[str, Price]:
        """All prices of an operation by lane, `*` for any other, for people; {} where they are no list."""
        return {}

    def with_defaults(self, operation: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Params with what is sent where they lack it, as prices read them."""
        return params

    def plan_for(self, operation: str) -> PollPlan:
        return self.operations[operation].poll_plan or self.poll_plan

    def deadline_for(self, operation: str) -> float:
        return self.operations[operation].deadline_seconds or self.deadline_seconds

    def error_text(self, answer: Answer) -> str:
        """The provider's own words about a refusal, short."""
        return error_text(answer, self.error_fields)

    def wait_seconds(self, answer: Answer) -> float | None:
        """How long the provider asks us to stay away; override where the body says it too."""
        return answer.retry_after_seconds

    def key_taken(self, answer: Answer) -> KeyTaken | None:
        """What an answer to a submit says of its key, whatever its HTTP code: asked first, of submits with a key."""
        return None

    def refusal(self, answer: Answer) -> Refused | None:
        """What the HTTP code alone says of a submit; None leaves the decision to the body.

        Raises `SubmissionUnknownError` where the code does not rule out that the job was accepted.
        """
        if answer.is_good:
            return None
        text = self.error_text(answer) if answer.status >= 400 else ""
        return refusal_by_status(answer, text, after_seconds=self.wait_seconds(answer))

    def trouble(self, answer: Answer, ticket: Ticket) -> None:
        """Raise `PollFailedError` or `AccountRefusedError` where the HTTP code alone says nothing of the job."""
        if not answer.is_good:
            poll_trouble(answer, after_seconds=self.wait_seconds(answer))

    def submit_outcome(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        """Code first, then body; an answer that can't be read may hide an accepted job."""
        with hiding(account):
            try:
                outcome = self._read_submit(answer, submission, account)
            except UnreadableAnswerError as error:
                raise SubmissionUnknownError(f"the answer to the submit can't be read: {error}") from error
            check_handle(outcome)
        if isinstance(outcome, Refused):
            outcome = weigh(outcome, answer, submission.params, credit_words=account.credit_words)
        return hidden_submit(outcome, account)

    def _read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        if submission.key and (taken := self.key_taken(answer)):
            return taken
        refused = self.refusal(answer)
        if refused and self._accepted_all_the_same(answer, submission, account):
            raise SubmissionUnknownError(f"HTTP {answer.status}, and yet the answer tells of an accepted job")
        return refused or self.read_submit(answer, submission, account)

    def _accepted_all_the_same(self, answer: Answer, submission: Submission, account: Account) -> bool:
        """Whether the body contradicts a code that refuses: then nobody knows, and nothing is bought again."""
        try:
            answer.object()
            return not isinstance(self.read_submit(answer, submission, account), Refused)
        except (SubmissionUnknownError, UnreadableAnswerError):
            return False

    def poll_outcome(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        """Trouble by code first, then body; raises `PollFailedError` or `AccountRefusedError`."""
        with hiding(account):
            try:
                self.trouble(answer, ticket)
                outcome = self.read_poll(answer, ticket, account)
            except UnreadableAnswerError as error:
                raise PollFailedError(f"the answer to the poll can't be read: {error}") from error
        if isinstance(outcome, Running) and outcome.after_seconds is None:
            outcome = replace(outcome, after_seconds=answer.retry_after_seconds)
        if isinstance(outcome, Failed):
            outcome = with_cause(outcome)
        return hidden_poll(outcome, account)

    def catalog_outcome(self, catalog: str, answer: Answer, account: Account) -> list[dict[str, Any]]:
        """Code first, then body; raises `AccountRefusedError`, `TryLaterError` or `UnreadableAnswerError`."""
        with hiding(account):
            check_code(answer, self.error_text, self.wait_seconds)
            return self.read_catalog(catalog, answer)

    def list_outcome(self, answer: Answer, account: Account) -> Listing:
        """As `catalog_outcome`."""
        with hiding(account):
            check_code(answer, self.error_text, self.wait_seconds)
            return self.read_list(answer)
