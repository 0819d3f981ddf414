"""A first message, whatever is in it, becomes a step or a failure for its caller; no caller waits for ever."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from celery import Celery
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.contract import REPEATED_NAME_HEADER, Failure, FailureCode, GenerateRequest
from bide.ledger import AccountName, Step, Verb
from config.settings import load
from tasks.steps.enter import Entered, Message, enter
from tasks.steps.outcome import Fail, Ignore
from tests.contract.ledger_stage import Stage, request_of
from workers.accounts import Accounts
from workers.celery_patches.message_check import has_repeated_name
from workers.toolbox import Toolbox

SETTINGS = {
    "BIDE_S3__BUCKET": "results",
    "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "key-of-photogpt",
    "BIDE_CALLBACKS__SECRET": "whsec_c2VjcmV0LW9mLXRoZS1yaWctMDEyMzQ1Njc4OQ==",
}

GOOD: dict[str, Any] = request_of().model_dump(mode="json", exclude_defaults=True)


def deep(levels: int) -> Any:
    """Lists in lists."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


#: What a field may be given instead of what it wants.
ODD: list[Any] = [
    None, True, 0, -1, 1e308, float("nan"), float("inf"), 10**5000, -(10**19), "", " ", "\x00", "\x1b[2J", "\ud800",
    "a\udfff", "\u202e", "\uff0e", "a" * 300_000, "http://", "http://a\uff0eb/", "http://[fe80::1%\uff0e]/",
    "http://xn--127-/", "http://a..b/", "http://" + "a" * 64 + "/", "http://\u0660/", "http://[::1", "http://a:x/",
    "http://a/\ud800", "https://\u2488/", "https://xn--a/", "https://%zz/", "https://a@b/", "https://\U0001f4a9.la/",
    "s3://", "s3://\uff0e/x", "data:", "data:;base64,\uff0e", [], {}, [[]], {"": ""}, {"a": None}, {"\ud800": "x"},
    {"a": 10**5000}, {"a": float("nan")}, {1: 2}, {None: 1}, {("a",): 1}, {"a": deep(100)}, {"a": deep(5_000)},
    deep(5_000), {"prompt": {"prompt": "\ud800"}}, {"modelID": "m1", "prompt": "\x1b]0;x\x07", "numImages": 10**400},
    {"person": "http://xn--127-/a.png"}, b"bytes", {1, 2}, object(),
]  # fmt: skip

FIELDS = [*GenerateRequest.model_fields, "unknown", "\ud800", "\x1b[2J", 5, None]


class Worker:
    """The beginning of a step, on a ledger in memory."""

    def __init__(self, accounts: Accounts | None = None) -> None:
        self.tools = Toolbox(load(SETTINGS, env_file=None), Celery(set_as_current=False))
        self.tools.accounts = accounts or self.tools.accounts
        self.stage = Stage.in_memory()
        self.tools.ledger = self.stage.ledger

    def take(self, *args: Any, job_id: Any = "a", headers: Any = None, **kwargs: Any) -> Step | Failure | Ignore:
        """What a message comes to; a failure goes over the wire first."""
        match enter(self.tools, Message(job_id, args, kwargs, headers=headers)):
            case Entered(step):
                return step
            case Fail(failure):
                return Failure.model_validate_json(failure.model_dump_json())
            case ignored:
                return ignored


@pytest.fixture(scope="module")
def worker() -> Worker:
    """One for all tests: each message has an id of its own."""
    return Worker()


@pytest.mark.parametrize("field", FIELDS, ids=ascii)
def test_an_odd_field_is_a_step_or_refused_as_such(worker: Worker, field: Any) -> None:
    """Each odd value in each field: none of them takes the way of an error of bide's own."""
    for n, value in enumerate(ODD):
        came = worker.take({**GOOD, field: value}, job_id=f"odd-{FIELDS.index(field)}-{n}")
        if isinstance(came, Failure):
            assert came.code is FailureCode.INVALID_REQUEST, (n, came)


@pytest.mark.parametrize("number", range(len(ODD)))
def test_an_odd_argument_or_id_is_refused(worker: Worker, number: int) -> None:
    """In place of the whole request, as a second argument, under another name, and as the job's id."""
    value = ODD[number]
    for args, kwargs in (((value,), {}), ((GOOD, value), {}), ((), {"request": value}), ((), {"req": value})):
        came = worker.take(*args, job_id="argument", **kwargs)
        assert isinstance(came, Failure) or (isinstance(came, Step) and came.verb is Verb.MISSING)
    if value != "data:":  # that is an id like any other
        came = worker.take(GOOD, job_id=value)
        assert isinstance(came, Failure)
        assert came.code is FailureCode.INVALID_REQUEST


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters(categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(field=st.sampled_from(list(GenerateRequest.model_fields)) | st.text(), value=JSON)
def test_any_json_in_any_field_is_a_step_or_refused(field: str, value: Any) -> None:
    """Any JSON value in any field makes a step, or is refused as `invalid_request`."""
    came = Worker().take({**GOOD, field: value})
    assert isinstance(came, Step) or (isinstance(came, Failure) and came.code is FailureCode.INVALID_REQUEST)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(host=st.text(max_size=20) | st.text("x-n.\uff0e\u3002%[]:@1\u00fc", max_size=20))
def test_any_callback_address_is_a_step_or_refused(host: str) -> None:
    """By its name, as `invalid_request`."""
    came = Worker().take({**GOOD, "callback_url": f"https://{host}/"})
    if not isinstance(came, Step):
        assert isinstance(came, Failure)
        assert (came.code, came.message[:12]) == (FailureCode.INVALID_REQUEST, "callback_url")


class Broken(Accounts):
    """Accounts with an error of bide's own, which a request meets before its record."""

    def get(self, name: AccountName) -> NoReturn:
        raise ZeroDivisionError(f"a private {GOOD['params']['prompt']}")


def broken_worker() -> Worker:
    """A worker with that error."""
    return Worker(Broken(load(SETTINGS, env_file=None)))


def test_an_error_of_our_own_before_the_record_is_answered() -> None:
    """Its kind, that nothing was bought, and none of its words; there is no record to come back to."""
    worker = broken_worker()

    came = worker.take(GOOD)

    assert isinstance(came, Failure)
    assert (came.code, came.retryable, came.job_id) == (FailureCode.CRASHED, True, "a")
    assert "ZeroDivisionError" in came.message
    assert "nothing was bought" in came.message
    assert "red fox" not in came.message
    assert worker.stage.ledger.jobs.find("a") is None


def test_an_error_of_our_own_with_a_record_is_not_answered() -> None:
    """The record decides what becomes of the job, and the result of a job that has ended stays as it is."""
    worker = broken_worker()
    worker.stage.running("a")

    assert worker.take(GOOD) == Ignore("broke")


def test_a_hint_that_breaks_answers_no_caller() -> None:
    """Without a record there is no telling what was bought: the caller's result stays as it is."""
    assert Worker().take(job_id="a", headers=["no mapping"]) == Ignore("broke")


@pytest.mark.parametrize(
    ("body", "repeated"),
    [
        ('[[], {"request": {"params": {"numImages": 1, "numImages": 4}}}, {}]', True),
        (b'[[{"provider": "p", "operation": "o", "provider": "q"}], {}, {}]', True),
        ('[[], {"request": {"params": {"a": 1}, "metadata": {"a": 1}}}, {}]', False),
        ("[[], {}, {}]", False),
        ("not JSON", False),
        (b"\xff", False),
        ("[" * 100_000, False),
        (None, False),
    ],
)
def test_a_body_with_a_name_twice_is_known(body: Any, repeated: bool) -> None:
    """Kombu's reader keeps the last value alone; what is no JSON is another check's affair."""
    assert has_repeated_name(body) is repeated


def test_a_request_with_a_name_twice_is_refused(worker: Worker) -> None:
    """Its caller gets a failure, and nothing is opened; a message of bide's own has no request to refuse."""
    refused = worker.take(GOOD, job_id="twice", headers={REPEATED_NAME_HEADER: True})
    assert isinstance(refused, Failure)
    assert refused.code is FailureCode.INVALID_REQUEST
    assert "a name stands twice" in refused.message
    assert worker.tools.ledger.jobs.find("twice") is None
