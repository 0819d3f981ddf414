"""Every adapter's readers against answers that nobody foresaw: any JSON, any bytes, any code, recorded answers damaged.

Runs for whatever providers are installed; what is judged is judged from the answer alone, not by the adapter's rules.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.contract import FailureCode
from bide.errors import (
    AccountRefusedError,
    PollFailedError,
    SubmissionUnknownError,
    TryLaterError,
    UnreadableAnswerError,
)
from bide.providers import find, installed
from bide.providers.base import (
    MAX_CURSOR_CHARACTERS,
    Answer,
    Failed,
    FetchNow,
    Finished,
    Listing,
    Provider,
    Refused,
    Running,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
    as_text,
)
from tests.contract.adapter_stage import KEY
from tests.contract.noise import ANSWERS, bent
from tests.contract.provider_contract import ProviderContract
from tests.contract.samples import Sample

#: As many as a check can wait for; the same ones each time.
FUZZ = settings(max_examples=150, deadline=None, derandomize=True)

#: Codes by which a provider says that it has not accepted; any other leaves that open, or leaves it to the body.
REFUSING = {*range(400, 500), 307, 308, 503} - {408, 409, 425, 499}

#: Words with which the documents begin a refusal under a good code.
NO = {"error", "failed", "nok"}

#: Where an accepted job has its id, in any of the documents.
IDS = ("id", "job_id", "jobId", "history_item_id", "prompt_id", "request_id")

CODES = st.sampled_from([200, 200, 200, 201, 202, 400, 404, 429, 500, 503]) | st.integers(100, 599)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "location"]), st.text(max_size=30) | st.just("1e999"), max_size=3
)

pytestmark = pytest.mark.parametrize("name", sorted(installed()))


@cache
def contract_of(name: str) -> ProviderContract:
    """The provider's own contract test: its submissions, samples and account."""
    names = vars(import_module(f"tests.contract.test_{name}")).values()
    heirs = (cls for cls in names if isinstance(cls, type) and issubclass(cls, ProviderContract))
    return next(cls() for cls in heirs if getattr(cls, "name", None) == name)


@cache
def samples_of(own: ProviderContract) -> list[Sample]:
    """Its recorded answers, read once."""
    return own.samples()


def read_submit(own: ProviderContract, operation: str, answer: Answer) -> Any:
    """What a submit comes to: an outcome, or the one error that says that nobody knows."""
    try:
        outcome = own.adapter.submit_outcome(answer, own.submissions[operation], own.account)
    except SubmissionUnknownError as error:
        assert_quiet(str(error))
        return error
    assert isinstance(outcome, Submitted | Finished | Refused)
    return outcome


def read_poll(own: ProviderContract, ticket: Ticket, answer: Answer) -> Any:
    """What a poll comes to."""
    try:
        outcome = own.adapter.poll_outcome(answer, ticket, own.account)
    except (PollFailedError, AccountRefusedError) as error:
        assert_quiet(str(error))
        return error
    assert isinstance(outcome, Running | FetchNow | Succeeded | Failed | Unknown)
    return outcome


def assert_quiet(text: str) -> None:
    """Short, in one line, and without the key."""
    assert len(text) < 2000
    assert text.isprintable()
    assert KEY not in text


def assert_sound_submit(adapter: Provider, operation: str, answer: Answer, outcome: Any) -> None:
    """An outcome with which the machinery can go on, and that does not give up what may have been accepted."""
    match outcome:
        case Submitted(provider_job_id, estimate_seconds):
            assert provider_job_id
            assert estimate_seconds is None or 0 < estimate_seconds < float("inf")
            adapter.poll_call(Ticket(operation, provider_job_id), contract_of(adapter.name).account)
        case Finished(provider_job_id, outputs):
            assert outputs or not adapter.operations[operation].has_outputs or provider_job_id
            assert all(bool(media.url) != bool(media.content) for media in outputs)
        case Refused(code, message, again, after_seconds):
            refusals = (FailureCode.REJECTED, FailureCode.UNAUTHORIZED, FailureCode.GENERATION_FAILED)
            assert code in (*refusals, FailureCode.MODERATED)
            assert_quiet(message)
            assert after_seconds is None or after_seconds >= 0
            assert surely_not_accepted(answer), (answer.status, answer.body)
            assert not (again and has_an_id(answer)), "an accepted job would be bought again"


def surely_not_accepted(answer: Answer) -> bool:
    """Whether a careful person would call the submit refused: by its code, or by a reason under a good code."""
    if answer.status in REFUSING:
        return True
    if not 200 <= answer.status < 300:
        return False
    body = json.loads(answer.body.decode(errors="replace"), strict=False)  # a spoilt byte leaves the other fields
    return isinstance(body, dict) and is_a_refusal(body)


def is_a_refusal(body: dict[str, Any]) -> bool:
    """Whether the body says that the job has failed, or refuses it and gives something as a reason."""
    words = {value.strip().lower() for value in body.values() if isinstance(value, str)}
    reasons = [value for field, value in body.items() if field != "status" and as_text(value)]
    return "failed" in words or (bool(words & NO or "error" in body) and bool(reasons))


def has_an_id(answer: Answer) -> bool:
    """Whether an answer, under whatever code and with whatever words, has a job's id where it would be."""
    try:
        body = json.loads(answer.body.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return False
    if not isinstance(body, dict):
        return False
    inside = body["result"] if isinstance(body.get("result"), dict) else body
    return any(isinstance(inside.get(field), int | str) and inside[field] not in ("", True, False) for field in IDS)


def operations_of(own: ProviderContract) -> st.SearchStrategy[str]:
    """The provider's operations."""
    return st.sampled_from(sorted(own.submissions))


def tickets_of(own: ProviderContract, operation: str) -> st.SearchStrategy[Ticket]:
    """A job of that operation, at any point that its samples remember."""
    cursors = sorted({sample.cursor for sample in samples_of(own) if sample.operation == operation} | {""})
    return st.builds(own.ticket, st.just(operation), st.sampled_from(cursors))


@st.composite
def damaged(draw: st.DrawFn, own: ProviderContract) -> tuple[Sample, Answer]:
    """A recorded answer under another code, with a value exchanged for one of another answer, or bytes gone astray."""
    sample = draw(st.sampled_from(samples_of(own)))
    how = draw(st.sampled_from(["code", "mixed", "cut", "flipped", "doubled", "repeated field"]))
    status, body = sample.answer.status, sample.answer.body
    if how == "code":
        status = draw(CODES)
    elif how == "mixed":
        body = json.dumps(mixed(draw, sample.body, draw(st.sampled_from(samples_of(own))).body)).encode()
    elif how == "cut":
        body = body[: draw(st.integers(0, len(body)))]
    elif how == "flipped" and body:
        at = draw(st.integers(0, len(body) - 1))
        body = body[:at] + bytes([draw(st.integers(0, 255))]) + body[at + 1 :]
    elif how == "doubled":
        body = body + body
    elif how == "repeated field" and body.startswith(b"{"):
        body = body[:-1] + b"," + json.dumps({"status": draw(st.text(max_size=9))}).encode()[1:]
    return sample, Answer(status, draw(HEADERS), body)


def mixed(draw: st.DrawFn, one: Any, other: Any) -> Any:
    """Two bodies, field by field from either."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return draw(st.sampled_from([one, other]))
    chosen = {}
    for name in sorted({*one, *other}):
        first, second = one.get(name, other.get(name)), other.get(name, one.get(name))
        chosen[name] = mixed(draw, first, second)
    return chosen


@FUZZ
@given(data=st.data())
def test_a_submit_never_gives_up_what_may_be_accepted(name: str, data: st.DataObject) -> None:
    """Any answer: a documented outcome; "not accepted" only where the answer says so."""
    own = contract_of(name)
    operation, answer = data.draw(operations_of(own)), data.draw(ANSWERS)
    assert_sound_submit(own.adapter, operation, answer, read_submit(own, operation, answer))


@FUZZ
@given(data=st.data())
def test_a_damaged_answer_to_a_submit(name: str, data: st.DataObject) -> None:
    """The provider's own answers, mixed up, cut, or under another code, which is what proxies do to them."""
    own = contract_of(name)
    sample, answer = data.draw(damaged(own))
    operation = sample.operation if sample.operation in own.submissions else data.draw(operations_of(own))
    assert_sound_submit(own.adapter, operation, answer, read_submit(own, operation, answer))


@FUZZ
@given(data=st.data())
def test_a_poll_never_ends_a_job_by_accident(name: str, data: st.DataObject) -> None:
    """Any or damaged answer: a documented outcome; what fails or is forgotten was so called by the provider."""
    own = contract_of(name)
    operation = data.draw(operations_of(own))
    ticket = data.draw(tickets_of(own, operation))
    answer = data.draw(ANSWERS | damaged(own).map(lambda pair: pair[1]))
    match read_poll(own, ticket, answer):
        case Running(status, cursor):
            assert len(cursor) <= MAX_CURSOR_CHARACTERS
            assert_quiet(status)
            own.adapter.poll_call(Ticket(operation, "job-1", cursor=cursor), own.account)
        case FetchNow(cursor):
            assert 200 <= answer.status < 400 or answer.status == 404, "no word about the job"
            assert 0 < len(cursor) <= MAX_CURSOR_CHARACTERS
            own.adapter.poll_call(Ticket(operation, "job-1", cursor=cursor), own.account)
        case Succeeded(outputs):
            assert 200 <= answer.status < 300 or answer.status in (400, 404, 422), "no word about the job"
            assert all(bool(media.url) != bool(media.content) for media in outputs)
        case Failed(reason) | Unknown(reason):
            about_the_job = 200 <= answer.status < 300 or answer.status in (400, 404, 422)
            assert about_the_job or own.has_failed(ticket), "no word about the job"
            assert_quiet(reason)


@FUZZ
@given(data=st.data())
def test_lists_are_read_or_refused(name: str, data: st.DataObject) -> None:
    """Catalogs, and the lists of recent jobs where there are any."""
    adapter, own = find(name), contract_of(name)
    answer = data.draw(ANSWERS | damaged(own).map(lambda pair: pair[1]))
    for catalog in adapter.catalogs:
        try:
            entries = adapter.catalog_outcome(catalog, answer, own.account)
            assert all(isinstance(entry, dict) for entry in entries)
        except (AccountRefusedError, TryLaterError, UnreadableAnswerError) as error:
            assert_quiet(str(error))
    try:
        listing = adapter.list_outcome(answer, own.account)
        assert isinstance(listing, Listing)
        assert all(job.provider_job_id for job in listing.jobs)
    except (AccountRefusedError, TryLaterError, UnreadableAnswerError) as error:
        assert_quiet(str(error))


def test_no_code_turns_an_acceptance_into_a_refusal_that_buys_again(name: str) -> None:
    """An answer that names an accepted job, under every code there is: never "come back and buy it again"."""
    own = contract_of(name)
    accepted = [
        sample for sample in samples_of(own) if sample.kind == "submit" and sample.expect.get("is") == "Submitted"
    ]
    for sample in accepted:
        if not has_an_id(sample.answer):
            continue  # a training's answer is a text
        for status in range(100, 600):
            outcome = read_submit(own, sample.operation, Answer(status, {}, sample.answer.body))
            assert not isinstance(outcome, Refused), (sample.name, status)


def test_10_megabytes_of_nesting_are_an_unreadable_answer(name: str) -> None:
    """However deep and however large: nothing is accepted, nothing is refused, and nothing breaks."""
    own = contract_of(name)
    for body in (b"[" * 10_000_000, b'{"status":' * 1_000_000, b'{"a":[' * 1_600_000 + b"]}" * 10):
        for operation in own.submissions:
            assert isinstance(read_submit(own, operation, Answer(200, {}, body)), SubmissionUnknownError)
            assert isinstance(read_poll(own, own.ticket(operation), Answer(200, {}, body)), PollFailedError)


def test_samples_bent_in_every_place_are_sound(name: str) -> None:
    """Each value of each recorded answer to a submit exchanged for something strange."""
    own = contract_of(name)
    for sample in samples_of(own):
        if not sample.is_submit or sample.body is None:
            continue
        for variant in bent(sample.body):
            answer = Answer(sample.answer.status, sample.answer.headers, json.dumps(variant).encode())
            outcome = read_submit(own, sample.operation, answer)
            assert_sound_submit(own.adapter, sample.operation, answer, outcome)
