"""What the answers to submits and polls mean, by the tables of a provider's file. Readers are made once, and pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from bide.contract import FailureCause, FailureCode
from bide.errors import PollFailedError, UnreadableAnswerError
from bide.providers import reading
from bide.providers.costs import Cost, as_cost
from bide.providers.declared.answer_tables import (
    AcceptedTable,
    CauseTable,
    CostTable,
    FailedTable,
    RefusedTable,
    ResultTable,
    StateTable,
)
from bide.providers.declared.outputs import Outputs, missing
from bide.providers.declared.paths import JsonPath
from bide.providers.declared.sections import OperationTable
from bide.providers.exchange import Answer
from bide.providers.outcomes import (
    Failed,
    FetchNow,
    Finished,
    PollOutcome,
    Refused,
    Running,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Unknown,
)
from bide.providers.progress import Progress
from bide.providers.refusal import check_busy, not_of_the_job, refusal_by_words, refused_poll
from bide.providers.states import is_done, is_failed, no_reason

#: The cursor of a job whose result is asked for.
RESULT = "result"

#: How long the provider asks us to stay away [seconds].
Wait = Callable[[Answer], float | None]


def words_at(paths: Iterable[JsonPath], body: Any) -> str:
    """The first of the places that says something; empty where none does."""
    return next((text for path in paths if (text := reading.as_text(path.first(body)))), "")


def cost_of(table: CostTable | None, body: Any, answer: Answer) -> Cost | None:
    """What the answer says that the job costs; None where it says nothing."""
    if table is None:
        return None
    found = [path.first(body) for path in table.at or ()]
    found.append(answer.headers.get(table.header.lower()) if table.header else None)
    for value in found:
        if (cost := as_cost(value, table.unit)) is not None:
            return replace(cost, amount=cost.amount * Decimal(str(table.factor))) if table.factor != 1 else cost
    return None


class SubmitReader:
    """Reads the answer to a submit."""

    def __init__(self, operation: OperationTable, errors: list[JsonPath], outputs: Outputs, wait: Wait) -> None:
        self._table: AcceptedTable = operation.accepted
        self._state: JsonPath = operation.accepted.state or operation.state.at
        self._refused: RefusedTable | None = operation.accepted.refused
        self._result = operation.result
        self._cost = operation.accepted.cost or operation.result.cost
        self._errors, self._outputs, self._wait = errors, outputs, wait

    def read(self, answer: Answer) -> SubmitOutcome:
        """Raises `UnreadableAnswerError` or `SubmissionUnknownError` where the answer does not say."""
        table, body = self._table, answer.object()
        if table.status is not None and answer.is_good and answer.status not in table.status:
            raise UnreadableAnswerError(f"HTTP {answer.status} is no code of an accepted submit")
        ids = [path.first(body) for path in table.id]
        job_id = next(filter(None, map(reading.as_id, ids)), "")
        if self._refused and (refused := self._refusal(self._refused, body, ids, job_id, answer)):
            return refused
        if job_id and not table.finishes:
            return self._submitted(job_id, body, answer)
        outputs = self._ready(body, job_id)
        if outputs:
            left_out, cost = missing(self._result, body, outputs), cost_of(self._cost, body, answer)
            return Finished(job_id, outputs, handle=self._handle(body), partial=left_out, cost=cost)
        if job_id:
            return self._submitted(job_id, body, answer)
        raise UnreadableAnswerError(f"there is no id in it, at {' or '.join(map(repr, table.id))}")

    def _refusal(self, table: RefusedTable, body: Any, ids: list[Any], job_id: str, answer: Answer) -> Refused | None:
        word = reading.as_text(table.at.first(body)).lower()
        if word not in table.words and word not in table.failed:
            return None
        if table.with_id == "accepted" and job_id:
            return None
        if table.with_id == "unknown" and any(map(reading.has_id, ids)):
            raise UnreadableAnswerError(f"{word}, and yet a job has an id")
        if table.unless is not None and table.unless.first(body):
            return None
        reason = words_at(self._errors, body)
        if word in table.failed:
            return Refused(FailureCode.GENERATION_FAILED, reason or no_reason(word))
        return refusal_by_words(reason, after_seconds=self._wait(answer) or table.again_after_seconds)

    def _ready(self, body: Any, job_id: str) -> Any:
        """The outputs of an answer that has them already; what can't be read of them is polled for by the id."""
        if not is_done(reading.as_text(self._state.first(body)).lower()):
            return ()
        try:
            return self._outputs(body)
        except UnreadableAnswerError:
            if not job_id:
                raise
            return ()

    def _submitted(self, job_id: str, body: Any, answer: Answer) -> Submitted:
        estimates = (reading.as_positive(path.first(body)) for path in self._table.estimate_seconds or ())
        return Submitted(
            job_id,
            estimate_seconds=next(filter(None, estimates), None),
            handle=self._handle(body),
            cost=cost_of(self._table.cost, body, answer),
        )

    def _handle(self, body: Any) -> Any:
        found = {name: path.first(body) for name, path in self._table.handle.items()}
        return {name: value for name, value in found.items() if value is not None} or None


class PollReader:
    """Reads the answer to a poll, and to the request that a finished job's result is behind."""

    def __init__(
        self, operation: OperationTable, errors: list[JsonPath], outputs: Outputs, wait: Wait, *, fetches: bool
    ) -> None:
        self._state: StateTable = operation.state
        self._result: ResultTable = operation.result
        self._errors, self._outputs, self._wait, self._fetches = errors, outputs, wait, fetches
        self._codes = frozenset(operation.state.codes)
        self._failed_codes = frozenset(operation.result.failed.status if operation.result.failed else ())
        self._gone_codes = frozenset(operation.state.gone_status)

    def speaks_of_the_job(self, answer: Answer, cursor: str) -> bool:
        """Whether a code besides 2xx leaves the decision to the body."""
        return answer.status in (self._failed_codes if cursor == RESULT else self._codes | self._gone_codes)

    def read(self, answer: Answer, cursor: str) -> PollOutcome:
        """Raises `PollFailedError`, `AccountRefusedError` or `UnreadableAnswerError`."""
        return self._read_result(answer) if cursor == RESULT else self._read_state(answer)

    def _read_state(self, answer: Answer) -> PollOutcome:
        table = self._state
        if answer.status in self._gone_codes and not self._has_text(answer):
            return Unknown(self._error_words(answer) or f"HTTP {answer.status}")
        body = answer.object()
        if table.refused and reading.as_text(table.refused.at.first(body)).lower() in table.refused.words:
            return refused_poll(words_at(self._errors, body), after_seconds=self._wait(answer))
        if table.inside is not None and not isinstance(table.inside.first(body), dict):
            raise UnreadableAnswerError(f"an answer without a {(table.inside.steps or ('body',))[-1]}")
        return self._by_word(reading.as_word(table.at.first(body)), body, answer)

    def _by_word(self, word: str, body: Any, answer: Answer) -> PollOutcome:
        table = self._state
        if word in table.by_reason:
            return self._by_reason(word, body, answer)
        if word in table.done:
            return self._done(body, answer)
        if word in table.failed:
            return self._ended(word, body, answer)
        if word in table.gone:
            return Unknown("not found or expired")
        if word in table.running:
            return self._running(word, body, answer)
        if is_failed(word):
            return self._ended(word, body, answer)
        if is_done(word) and not self._fetches and (outputs := self._outputs(body)):
            return self._succeeded(outputs, body, answer)
        return self._running(word, body, answer)

    def _done(self, body: Any, answer: Answer) -> PollOutcome:
        return FetchNow(RESULT) if self._fetches else self._succeeded(self._outputs(body), body, answer)

    def _succeeded(self, outputs: Any, body: Any, answer: Answer) -> Succeeded:
        return Succeeded(
            outputs, missing(self._result, body, outputs), cost_of(self._result.cost or self._state.cost, body, answer)
        )

    def _ended(self, word: str, body: Any, answer: Answer) -> Failed:
        reason = words_at(self._state.reason or self._errors, body)
        check_busy(word, reason, after_seconds=self._wait(answer))
        return self._failed(word, reason, body, answer)

    def _failed(self, word: str, reason: str, body: Any, answer: Answer) -> Failed:
        table = self._state
        cause = self._cause(table.cause, word, body) if table.cause else None
        text = (reason or no_reason(word)) + self._left_over(body)
        return Failed(text, cause, table.charged, cost_of(table.cost, body, answer))

    def _cause(self, table: CauseTable, word: str, body: Any) -> FailureCause | None:
        """By the first of its words that is listed."""
        words = (reading.as_text(at.first(body)).lower() for at in table.at) if table.at else (word,)
        return next((cause for each in words if (cause := table.cause(each))), None)

    def _by_reason(self, word: str, body: Any, answer: Answer) -> PollOutcome:
        """The word may be about the asking, the account or the job: the reason tells."""
        reason = words_at(self._state.reason or self._errors, body)
        about = not_of_the_job(reason, after_seconds=self._wait(answer))
        return about or self._failed(word, reason, body, answer)

    def _running(self, word: str, body: Any, answer: Answer) -> Running:
        again = self._state.ask_again_seconds
        after = reading.as_positive(again.first(body)) if again else None
        return Running(
            word, progress=self._progress(body), after_seconds=after, cost=cost_of(self._state.cost, body, answer)
        )

    def _progress(self, body: Any) -> Progress | None:
        table = self._state
        fraction, percent, position = (
            _number(path.first(body)) if path else None for path in (table.fraction, table.percent, table.position)
        )
        if fraction is None and percent is not None:
            fraction = percent / 100
        found = (reading.as_positive(path.first(body)) for path in table.left_seconds or ())
        left = next(filter(None, found), None)
        message = reading.as_text(table.message.first(body)) if table.message else ""
        if fraction is None and position is None and left is None and not message:
            return None
        return Progress(fraction, None if position is None else int(position), left, message)

    def _left_over(self, body: Any) -> str:
        """Ids of what a failed job made all the same, so that a person can fetch it."""
        paths = self._state.left_over or ()
        ids = [job_id for path in paths for value in path.all(body) if (job_id := reading.as_id(value))]
        return f" (made before it failed: {', '.join(ids)})" if ids else ""

    def _read_result(self, answer: Answer) -> PollOutcome:
        failed = self._result.failed
        if failed and answer.status in self._failed_codes:
            return self._result_failed(failed, answer)
        if not answer.is_good:
            raise PollFailedError(f"HTTP {answer.status}", after_seconds=self._wait(answer))
        body = answer.json()
        return self._succeeded(self._outputs(body), body, answer)

    def _result_failed(self, failed: FailedTable, answer: Answer) -> Failed:
        body = answer.json()
        reason = words_at(failed.reason or self._errors, body) or f"HTTP {answer.status}"
        moderated = failed.moderated is not None and any(failed.moderated.all(body))
        cause = FailureCause.MODERATED if moderated else None
        return Failed(reason, cause, failed.charged, cost_of(self._result.cost, body, answer))

    def _has_text(self, answer: Answer) -> bool:
        """Whether a body speaks of the job, under a code for one that is not known."""
        try:
            unless = self._state.gone_unless
            return unless is not None and isinstance(unless.first(answer.object()), str)
        except UnreadableAnswerError:
            return False

    def _error_words(self, answer: Answer) -> str:
        return error_words(answer, self._errors)


def error_words(answer: Answer, errors: Iterable[JsonPath]) -> str:
    """The provider's own words in an error's body; for a body that is not JSON, what it is."""
    try:
        body = answer.json()
    except UnreadableAnswerError:
        return reading.error_text(answer, ())
    return words_at(errors, body)


def _number(value: Any) -> float | None:
    """A number that is not negative, also one that is written as a text; else None."""
    if value == 0 and isinstance(value, int | float) and not isinstance(value, bool):
        return 0.0
    return reading.as_positive(value)
