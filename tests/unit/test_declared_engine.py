"""What a provider's file can say, by the large one of its page: handles, cancel, progress, causes, money."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.contract import Charged, FailureCause, GenerateRequest
from bide.errors import AccountRefusedError, InvalidRequestError, PollFailedError, SubmissionUnknownError
from bide.money.quote import Quote
from bide.pricing import AccountPrices
from bide.providers.base import (
    Account,
    Answer,
    Canceled,
    Cancels,
    Cost,
    Failed,
    FetchNow,
    Finished,
    Media,
    MediaKind,
    Progress,
    Provider,
    Refused,
    Running,
    Submission,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
    Upload,
)
from bide.providers.declared.files import read
from bide.webhooks.incoming import Hooks
from tests.contract.noise import ANSWERS, bent
from tests.unit.declared_files import GOOD

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-a-provider-in-an-hour.md"
KEY = "planted-key-0123456789"
ACCOUNT = Account("https://queue.easel.example", KEY)
HOOKED = Account(ACCOUNT.base_url, KEY, Hooks("https://hooks.example", "a secret of the test", "easel", "default"))
PARAMS: dict[str, Any] = {"model": "easel/small", "input": {"prompt": "a red fox", "width": 2000, "height": 1000}}
BOUGHT = Submission("job-7", "run", PARAMS)
HANDLE = {what: f"https://jobs.easel.example/7/{what}" for what in ("status", "result", "cancel")}
ACCEPTED = {
    "request_id": "7",
    "status_url": HANDLE["status"],
    "response_url": HANDLE["result"],
    "cancel_url": HANDLE["cancel"],
}
TICKET = Ticket("run", "7", seen=True, handle=HANDLE)
FETCHING = Ticket("run", "7", cursor="result", seen=True, handle=HANDLE)


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Provider:
    """The page's provider."""
    found = re.search(
        r"`config/providers/easel\.toml`\n\n```toml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found
    file = tmp_path_factory.mktemp("providers") / "easel.toml"
    file.write_text(found[1], encoding="utf-8")
    return read([file])["easel"]()


def answer(status: int = 200, headers: Mapping[str, str] | None = None, /, **body: Any) -> Answer:
    """A JSON answer."""
    return Answer(status, headers or {}, json.dumps(body).encode())


def test_says_of_itself_what_the_file_says(easel: Provider) -> None:
    """Hosts, kinds, deadline, catalog, and that it cancels."""
    operation = easel.operations["run"]
    assert (easel.hosts, easel.credentials) == (("*.easel.example",), ("api_key",))
    assert operation.kinds == {MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO}
    assert easel.deadline_for("run") == 900
    assert isinstance(easel, Cancels)
    assert easel.catalog_call("models", {}, ACCOUNT).url == "https://queue.easel.example/models"
    assert easel.catalog_outcome("models", answer(models=[{"id": "m"}]), ACCOUNT) == [{"id": "m"}]


def test_fills_values_and_leaves_out_what_is_absent(easel: Provider) -> None:
    """Slashes of a model stay, a default is sent, an optional field without a value is not."""
    call = easel.submit_call(BOUGHT, ACCOUNT)
    assert (call.method, call.url, call.query) == ("POST", "https://queue.easel.example/easel/small", {})
    assert call.json == {**PARAMS["input"], "num": 1}
    assert call.headers == {"Authorization": f"Key {KEY}"}
    more = Submission("job-7", "run", {**PARAMS, "n": 3, "seed": 0}, {"photo": Upload("photo", url="https://u/p.png")})
    hooked = easel.submit_call(more, HOOKED)
    assert hooked.json == {**PARAMS["input"], "num": 3, "seed": 0, "images": ["https://u/p.png"]}
    assert hooked.query["webhook"].startswith("https://hooks.example/easel/default/job-7/")


@pytest.mark.parametrize("model", ["../admin", "a//b", "a/./b", ""])
def test_a_model_leads_nowhere_else(easel: Provider, model: str) -> None:
    """A param in a path is refused before anything is bought where it would leave its place."""
    with pytest.raises(InvalidRequestError, match="model"):
        easel.check("run", {**PARAMS, "model": model}, set())


def test_escapes_a_model_s_segments(easel: Provider) -> None:
    """Only its slashes stay."""
    call = easel.submit_call(Submission("j", "run", {**PARAMS, "model": "a?b#c/d e"}), ACCOUNT)
    assert call.url == "https://queue.easel.example/a%3Fb%23c/d%20e"


def test_calls_the_addresses_of_the_answer(easel: Provider) -> None:
    """Those of the handle; where an operator has attached the job by its id, those that are built."""
    submitted = easel.submit_outcome(answer(**ACCEPTED), BOUGHT, ACCOUNT)
    assert submitted == Submitted("7", handle=HANDLE)
    assert [easel.poll_call(ticket, ACCOUNT).url for ticket in (TICKET, FETCHING)] == [
        HANDLE["status"],
        HANDLE["result"],
    ]
    attached = Ticket("run", "a/b")
    assert easel.poll_call(attached, ACCOUNT).url == "https://queue.easel.example/requests/a%2Fb/status"
    assert isinstance(easel, Cancels)
    stop = easel.cancel_call(TICKET, ACCOUNT)
    assert stop is not None
    assert (stop.method, stop.url) == ("PUT", HANDLE["cancel"])


def test_a_second_request_has_the_result(easel: Provider) -> None:
    """Done is asked for now; what the request answers is the end, with its cost, and what is missing of it."""
    assert easel.poll_outcome(answer(status="COMPLETED"), TICKET, ACCOUNT) == FetchNow("result")
    body = {"images": [{"url": "https://m/1.png"}, {"url": "https://m/2.png"}], "audio": {"url": "https://m/a.mp3"}}
    got = easel.poll_outcome(answer(200, {"x-billable-units": "3.5"}, **body), FETCHING, ACCOUNT)
    media = (*(Media("image", url=f"https://m/{n}.png") for n in (1, 2)), Media("audio", url="https://m/a.mp3"))
    assert got == Succeeded(media, cost=Cost(Decimal("3.5"), "units"))
    partly = easel.poll_outcome(answer(warning="1 of 2 was blocked", **body), FETCHING, ACCOUNT)
    assert isinstance(partly, Succeeded)
    assert partly.partial == "1 of 2 was blocked"


def test_a_failure_may_stand_behind_the_second_request(easel: Provider) -> None:
    """A declared code is the job's failure; any other is the asking's."""
    detail = [{"msg": "no foxes", "type": "content_policy_violation"}]
    failed = easel.poll_outcome(answer(422, detail=detail), FETCHING, ACCOUNT)
    assert failed == Failed("no foxes", FailureCause.MODERATED)
    for status in (404, 500):
        with pytest.raises(PollFailedError):
            easel.poll_outcome(answer(status), FETCHING, ACCOUNT)


def test_progress_cause_and_charge(easel: Provider) -> None:
    """What the API says of a job at work, and of one that failed."""
    waiting = easel.poll_outcome(answer(status="IN_QUEUE", queue_position=0, retry_in=9), TICKET, ACCOUNT)
    assert waiting == Running("in_queue", progress=Progress(position=0), after_seconds=9)
    working = easel.poll_outcome(
        answer(status="in_progress", progress=40, logs=[{"message": "a"}, {"message": "b"}]), TICKET, ACCOUNT
    )
    assert working == Running("in_progress", progress=Progress(fraction=0.4, message="b"))
    broken = easel.poll_outcome(answer(status="failed", error="no room", error_type="no_runner"), TICKET, ACCOUNT)
    assert broken == Failed("no room", FailureCause.CAPACITY, Charged.NO)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"code": "blocked", "type": "bad"}, FailureCause.MODERATED),
        ({"code": "other", "type": "BAD"}, FailureCause.BAD_INPUT),
        ({"type": "bad"}, FailureCause.BAD_INPUT),
        ({"code": 7, "type": None}, None),
    ],
)
def test_a_cause_may_stand_in_several_places(tmp_path: Path, error: dict[str, Any], cause: FailureCause | None) -> None:
    """The first whose word is listed: many APIs have a wide type, and a code that is there at times."""
    text = (
        GOOD
        + """
[operations.draw.state.cause]
at = ["$.error.code", "$.error.type"]
moderated = "blocked"
bad_input = "bad"
"""
    )
    (tmp_path / "inkwell.toml").write_text(text, encoding="utf-8")
    adapter = read([tmp_path / "inkwell.toml"])["inkwell"]()
    outcome = adapter.poll_outcome(answer(state="spilled", error=error), Ticket("draw", "7", seen=True), ACCOUNT)
    assert isinstance(outcome, Failed)
    assert outcome.cause == cause


@pytest.mark.parametrize(
    ("status", "came"), [(202, Canceled.REQUESTED), (400, Canceled.TOO_LATE), (500, Canceled.UNKNOWN)]
)
def test_what_a_cancel_came_to(easel: Provider, status: int, came: Canceled) -> None:
    """By its code."""
    assert isinstance(easel, Cancels)
    assert easel.cancel_outcome(Answer(status, {}, b"<html>"), TICKET, ACCOUNT) is came


def priced(adapter: Provider, params: dict[str, Any]) -> Quote:
    """What the file has, where the settings say nothing."""
    request = GenerateRequest(provider=adapter.name, operation="run", params=params)
    return AccountPrices().quote(adapter, request)


def test_lane_and_price(easel: Provider) -> None:
    """The model is the lane, and a lane's own price goes before that of all."""
    large = {**PARAMS, "model": "easel/large", "n": 2}
    assert easel.lane("run", large) == "easel/large"
    assert priced(easel, PARAMS).amount == 10_000
    assert priced(easel, large) == Quote(
        100_000, "USD", "file", name="run easel/large", expression=str(easel.price("run", large))
    )
    unpriced = priced(easel, {**large, "input": {}})
    assert (unpriced.amount, unpriced.source) == (None, "file")
    assert "can't be worked out" in unpriced.reason


def test_params_are_checked_by_the_file(easel: Provider) -> None:
    """Missing, beyond the limits, misspelt."""
    for wrong, says in (
        ({"input": {}}, "params.model: is required"),
        ({**PARAMS, "n": 5}, "params.n: must be a whole number from 1 to 4"),
        ({**PARAMS, "sead": 7}, "did you mean seed"),
    ):
        with pytest.raises(InvalidRequestError, match=says):
            easel.check("run", wrong, set())


@settings(max_examples=150, deadline=None, derandomize=True)
@given(answer=ANSWERS | st.sampled_from([Answer(200, {}, json.dumps(it).encode()) for it in bent(ACCEPTED)]))
def test_any_answer_has_a_documented_outcome(easel: Provider, answer: Answer) -> None:
    """Whatever comes over the wire, to a submit, a poll, the request behind it, and a cancel."""
    with suppress(SubmissionUnknownError):
        assert isinstance(easel.submit_outcome(answer, BOUGHT, ACCOUNT), Submitted | Finished | Refused)
    for ticket in (TICKET, FETCHING):
        with suppress(PollFailedError, AccountRefusedError):
            outcome = easel.poll_outcome(answer, ticket, ACCOUNT)
            assert isinstance(outcome, Running | Succeeded | Failed | Unknown | FetchNow)
            assert not (isinstance(outcome, FetchNow) and ticket is FETCHING)
    assert isinstance(easel, Cancels)
    assert isinstance(easel.cancel_outcome(answer, TICKET, ACCOUNT), Canceled)


def test_answers_bent_in_every_place_have_a_documented_outcome(easel: Provider) -> None:
    """The API's own answers with something strange in each place, deep nesting among it."""
    done = {"images": [{"url": "https://m/1.png"}], "audio": {"url": "https://m/a.mp3"}, "warning": "w"}
    at_work = {"status": "in_progress", "progress": 4, "queue_position": 1, "logs": [{"message": "m"}], "retry_in": 3}
    failed = {"status": "failed", "error": "e", "error_type": "policy", "detail": [{"type": "x"}]}
    for body, ticket, status in (
        (done, FETCHING, 200),
        (failed, FETCHING, 422),
        (at_work, TICKET, 200),
        (failed, TICKET, 200),
    ):
        for variant in bent(body):
            try:
                outcome = easel.poll_outcome(Answer(status, {}, json.dumps(variant).encode()), ticket, ACCOUNT)
            except PollFailedError:
                continue
            assert isinstance(outcome, Running | Succeeded | Failed | Unknown | FetchNow)
