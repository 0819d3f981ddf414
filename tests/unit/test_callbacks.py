"""What callbacks say, how they are signed, and what a callback sender makes of the answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import fakeredis
import pytest
import redis
import structlog
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from bide.contract import CallbackEvent, Failure, FailureCode, JobState
from bide.errors import InvalidRequestError, NotDeliveredError
from bide.providers.base import Answer
from bide.settings.problems import ConfigurationProblems
from bide.settings.sections import CallbackSettings
from bide.webhooks.outgoing import Delivery
from config.settings import load
from tests.contract.ledger_contract_callbacks import CALLED
from tests.contract.ledger_stage import ACCOUNT, ERROR, Clock, Stage, request_of
from workers.io.callback_check import check_callback, signing_secrets
from workers.services.callback_sender import CallbackSender
from workers.services.deliveries import delivery_of
from workers.services.event_loop import EventLoop
from workers.services.receivers import FIRST_PLACES

NEW, OLD = (base64.b64encode(text * 3).decode() for text in (b"new-secret", b"old-secret"))
DAY_SECONDS = 24 * 3600


class Hands:
    """The collaborators of a callback sender: a ledger in memory, and receivers that give the `answer` of the test."""

    def __init__(self, settings: CallbackSettings) -> None:
        server: redis.Redis = fakeredis.FakeRedis(decode_responses=True, version=(7,))
        self.stage = Stage(server, Clock())
        self.ledger, self.callbacks = self.stage.ledger, self.stage.ledger.callbacks
        self.settings, self.event_loop = settings, EventLoop("receivers")
        self.posted: list[dict[str, str]] = []
        self.answer: Answer | NotDeliveredError = Answer(200)

    async def post(self, url: str, content: bytes, *, headers: dict[str, str], **_: Any) -> Answer:
        self.posted.append({**headers, "url": url, "body": content.decode()})
        if isinstance(self.answer, NotDeliveredError):
            raise self.answer
        return self.answer

    def callback_sender(self) -> CallbackSender:
        """One that posts to these receivers."""
        http: Any = self
        clock = self.stage.clock
        return CallbackSender(self.ledger, http, self.event_loop, settings=self.settings, clock=lambda: clock.now)

    def attempt(self, answer: Answer | NotDeliveredError) -> None:
        """Have the one callback that is due tried once, and what came of it recorded."""
        self.answer = answer
        callback_sender = self.callback_sender()
        callback_sender._handle(ACCOUNT)
        callback_sender._handle(callback_sender._inbox.get(timeout=20))  # type: ignore[arg-type]  # nobody stops it

    def unfinished(self) -> list[tuple[bool, int, str]]:
        """The callbacks that are not delivered: given up?, tries, note."""
        return [(one.failed, one.tries, one.note) for one in self.callbacks.unfinished(ACCOUNT)]

    def wait_seconds(self) -> float:
        """How long until the next attempt."""
        [one] = self.callbacks.unfinished(ACCOUNT)
        return one.at.timestamp() - self.stage.clock.now + 0.001


@pytest.fixture
def hands() -> Iterator[Hands]:
    """Hands with a secret and the one before."""
    hands = Hands(CallbackSettings(secret=NEW, previous_secret=OLD))
    yield hands
    hands.event_loop.stop()


def fail(stage: Stage, job_id: str = "a", **changes: Any) -> None:
    """A job that asked for a callback, and failed."""
    record, token, _ = stage.submitting(job_id, **{**CALLED, **changes})
    assert stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)


def test_a_delivery_says_how_the_job_ended(hands: Hands) -> None:
    """A delivery has type, time, the caller's metadata, and the failure, completed by what the record knows."""
    fail(hands.stage, metadata={"order": "1042"})
    record = hands.ledger.jobs.read(ACCOUNT, "a")
    assert record is not None
    delivery = delivery_of(record, 1)
    assert delivery is not None
    event = CallbackEvent.model_validate_json(delivery.body)
    assert (event.type, event.metadata) == ("job.failed", {"order": "1042"})
    assert event.timestamp.timestamp() == hands.stage.clock.now
    assert event.data == Failure(code=FailureCode.REJECTED, message="no", job_id="a", provider="photogpt")
    assert delivery_of(record, 2) is None
    assert delivery.url not in repr(delivery)


def test_both_secrets_sign() -> None:
    """Receivers change over when they like: either secret verifies, and no third one."""
    delivery = Delivery("https://example.com/hook", "msg_1", '{"data": "\u2713"}')
    headers = delivery.headers([NEW, OLD], now=datetime.now(UTC))
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(delivery.body, headers) == {"data": "\u2713"}
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"x" * 24).decode()).verify(delivery.body, headers)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_success_is_a_delivery(hands: Hands, status: int) -> None:
    """Signed so that the library of the standard takes it."""
    fail(hands.stage)
    hands.attempt(Answer(status))
    [posted] = hands.posted
    assert Webhook(NEW).verify(posted["body"], posted)["type"] == "job.failed"
    assert hands.unfinished() == []


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_anything_else_comes_again(hands: Hands, status: int) -> None:
    """Also a redirect, which is not followed; soon at first, then ever later, an hour at most."""
    fail(hands.stage)
    waits = []
    for tries in range(1, 13):
        hands.attempt(Answer(status))
        assert hands.unfinished() == [(False, tries, f"HTTP {status}")]
        waits.append(hands.wait_seconds())
        hands.stage.clock.advance(waits[-1])
    assert waits[0] == pytest.approx(5, rel=0.1)
    assert waits[1] == pytest.approx(10, rel=0.1)
    assert waits[-1] == pytest.approx(3600, rel=0.1)
    assert len({posted["webhook-id"] for posted in hands.posted}) == 1


def test_a_receivers_wish_is_heard(hands: Hands) -> None:
    """Retry-After puts the next attempt off, for five minutes at most."""
    fail(hands.stage)
    hands.attempt(Answer(429, {"retry-after": "120"}))
    assert hands.wait_seconds() == pytest.approx(120, abs=0.1)
    hands.stage.clock.advance(121)
    hands.attempt(Answer(429, {"retry-after": "86400"}))
    assert hands.wait_seconds() == pytest.approx(300, abs=0.1)


def test_a_day_of_failing_is_enough(hands: Hands) -> None:
    """Then it is on the list of the failed, with what went wrong last."""
    fail(hands.stage)
    while not any(failed for failed, *_ in hands.unfinished()):
        hands.attempt(NotDeliveredError("example.com: no connection"))
        if not hands.unfinished()[0][0]:
            hands.stage.clock.advance(hands.wait_seconds())
    [(failed, tries, note)] = hands.unfinished()
    assert (failed, note) == (True, "example.com: no connection")
    assert tries > 20
    began = 1_700_000_000.0
    assert DAY_SECONDS - 3960 < hands.stage.clock.now - began <= DAY_SECONDS + 1


def test_what_never_had_a_place_is_given_up(hands: Hands) -> None:
    """A receiver that is too slow for all that it is sent keeps none of it owed for longer than any other."""
    fail(hands.stage)
    callback_sender = hands.callback_sender()
    while callback_sender._receivers.pause_seconds("example.com:443") is None:
        callback_sender._receivers.enter("example.com:443")
    callback_sender._handle(ACCOUNT)
    assert hands.unfinished() == [(False, 0, "")]
    hands.stage.clock.advance(DAY_SECONDS + 1)
    callback_sender._handle(ACCOUNT)
    assert hands.unfinished() == [(True, 1, "example.com:443: too slow for all that is sent there")]
    assert hands.posted == []


def test_an_outage_gives_up_nothing_untried(hands: Hands) -> None:
    """After a day without a worker, callbacks that find no place at once are put off, and each is sent."""
    job_ids = [f"job-{number}" for number in range(FIRST_PLACES + 3)]
    for job_id in job_ids:
        fail(hands.stage, job_id)
    hands.stage.clock.advance(DAY_SECONDS + 3600)
    callback_sender = hands.callback_sender()
    callback_sender._handle(ACCOUNT)
    assert [(failed, tries) for failed, tries, _ in hands.unfinished()] == [(False, 0)] * len(job_ids)
    for _ in range(FIRST_PLACES):
        callback_sender._handle(callback_sender._inbox.get(timeout=20))  # type: ignore[arg-type]  # nobody stops it
    hands.stage.clock.advance(1)
    callback_sender._handle(ACCOUNT)
    for _ in range(3):
        callback_sender._handle(callback_sender._inbox.get(timeout=20))  # type: ignore[arg-type]  # nobody stops it
    assert len({posted["webhook-id"] for posted in hands.posted}) == len(job_ids)


def test_giving_up_is_no_attempt(hands: Hands) -> None:
    """The log line of a callback that is given up without an attempt counts those that were made."""
    fail(hands.stage)
    hands.attempt(NotDeliveredError("example.com: no connection"))
    hands.stage.clock.advance(DAY_SECONDS + 1)
    callback_sender = hands.callback_sender()
    while callback_sender._receivers.pause_seconds("example.com:443") is None:
        callback_sender._receivers.enter("example.com:443")
    with structlog.testing.capture_logs() as lines:
        callback_sender._handle(ACCOUNT)
    [line] = [line for line in lines if line["event"] == "callback.attempt"]
    assert (line["outcome"], line["attempt"]) == ("failed", 1)


def test_a_record_that_can_not_be_read_is_given_up(hands: Hands) -> None:
    """Instead of being tried for ever."""
    hands.stage.finished("a", **CALLED)  # with a result that is none
    callback_sender = hands.callback_sender()
    callback_sender._handle(ACCOUNT)
    assert hands.unfinished() == [(True, 1, "the job's record can't be read")]


def test_a_lost_secret_sends_nothing_unsigned(hands: Hands) -> None:
    """The callback waits until the secret is in the settings again."""
    fail(hands.stage)
    hands.settings = CallbackSettings()
    hands.attempt(Answer(200))
    assert hands.posted == []
    assert hands.unfinished() == [(False, 1, "can't be signed: BIDE_CALLBACKS__SECRET is not set")]


def test_a_private_address_is_not_called(hands: Hands) -> None:
    """Should one have got into a record."""
    fail(hands.stage, callback_url="http://127.0.0.1:1/hook")
    hands.attempt(Answer(200))
    assert hands.posted == []
    [(_, _, note)] = hands.unfinished()
    assert note.startswith("callback_url: 127.0.0.1 is not a public address; list its host in BIDE_CALLBACKS__ALLOWED")


@pytest.mark.parametrize(
    ("fields", "url", "says"),
    [
        ({}, "https://example.com/", "BIDE_CALLBACKS__SECRET is not set"),
        (
            {"secret": NEW},
            "http://10.0.0.1/",
            "is not a public address; list its host in BIDE_CALLBACKS__ALLOWED_HOSTS",
        ),
        ({"secret": NEW}, "https://user:pw@example.com/", "with a user name or password"),
        ({"secret": NEW}, "https://example.com:0/", "names no host and port that can be reached"),
    ],
)
def test_what_could_never_be_sent_is_refused(fields: dict[str, Any], url: str, says: str) -> None:
    """With the request, before anything is bought; no secret is in the words."""
    with pytest.raises(InvalidRequestError, match=says) as refused:
        check_callback(request_of(callback_url=url), CallbackSettings(**fields))
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize("secret", ["hunter2", "whsec_c2hvcnQ=", "not base64 at all, but long enough"])
def test_a_weak_secret_is_refused_at_start(secret: str) -> None:
    """It would verify nowhere, or could be guessed; the problem says how to make one, and does not repeat it."""
    with pytest.raises(ConfigurationProblems, match="openssl rand -base64 32") as problems:
        load({"BIDE_S3__BUCKET": "results", "BIDE_CALLBACKS__SECRET": secret}, env_file=None)
    assert secret not in str(problems.value)


def test_secrets_in_order() -> None:
    """The current one first; the previous one alone signs nothing."""
    assert signing_secrets(CallbackSettings(secret=NEW, previous_secret=OLD)) == [NEW, OLD]
    assert signing_secrets(CallbackSettings(previous_secret=OLD)) == []
