"""Receivers that never answer, or take their time: they delay their own callbacks, and nobody else's."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
import redis
from celery import Celery

from bide.contract import GenerateRequest
from bide.ledger import AccountName
from bide.ledger.callbacks import Callback
from bide.ledger.connection import connect
from config.settings import load
from tests.integration.receiver import Receiver
from tests.integration.rig import CALLBACK_SECRET
from tests.integration.servers import RedisServer, redis_server
from tests.integration.tarpit import Tarpit
from tests.integration.waiting import eventually
from workers.services.receivers import LONGEST_PAUSE_SECONDS, QUICK_SECONDS
from workers.toolbox import Toolbox

pytestmark = pytest.mark.integration

ACCOUNT, OTHER = AccountName("photogpt", "default"), AccountName("photogpt", "other")

#: Every address of this machine that the tests use, as receivers that may be called.
ADDRESSES = ["127.0.0.1", *(f"127.0.1.{number}" for number in range(1, 201))]

#: How long a receiver may take in these tests, and how soon a receiver that answers is called [seconds].
TIMEOUT_SECONDS, SOON_SECONDS = 3.0, 2.0

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """One server for all tests, each of which empties it first."""
    with redis_server(appendonly=False) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> Iterator[redis.Redis]:
    """A connection to an empty Redis."""
    with connect(shared.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def tools(request: pytest.FixtureRequest, shared: RedisServer, server: redis.Redis) -> Iterator[Toolbox]:
    """The toolbox of a process whose callbacks may go to this machine; its parameter is another time-out."""
    given = {
        "BIDE_BROKER_URL": shared.url,
        "BIDE_S3__BUCKET": "results",
        "BIDE_CALLBACKS__SECRET": CALLBACK_SECRET,
        "BIDE_CALLBACKS__ALLOWED_HOSTS": str([*ADDRESSES, "localhost"]).replace("'", '"'),
        "BIDE_CALLBACKS__TIMEOUT_SECONDS": str(getattr(request, "param", TIMEOUT_SECONDS)),
    }
    made = Toolbox(load(given, env_file=None), Celery(set_as_current=False))
    yield made
    made.close()
    server.flushall()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A service that takes every callback."""
    with Receiver(CALLBACK_SECRET) as receiver:
        yield receiver


def owe(tools: Toolbox, url: str, *, account: AccountName = ACCOUNT) -> str:
    """A job that has ended, and whose callback is owed to `url`: its id."""
    job_id = f"job-{next(_numbers)}"
    request = GenerateRequest(
        provider=account.provider,
        account=account.account,
        operation="images.upscaling",
        params={"imageID": "i1"},
        callback_url=url,
    )
    tools.ledger.jobs.cancel_unknown(job_id)
    tools.ledger.jobs.open(job_id, request, deadline_seconds=1800)
    return job_id


def called_within(tools: Toolbox, receiver: Receiver, job_ids: list[str], *, account: AccountName = ACCOUNT) -> float:
    """How long it takes until the receiver has been called about all of the jobs [seconds]."""
    began = time.monotonic()
    tools.callback_sender.deliver(account)
    eventually(lambda: all(map(receiver.about, job_ids)), what="the receiver was called", within_seconds=60)
    return time.monotonic() - began


def unfinished(tools: Toolbox) -> list[Callback]:
    """The callbacks that are owed or were given up."""
    return tools.ledger.callbacks.unfinished(ACCOUNT)


def test_a_tarpit_delays_nobody_else(tools: Toolbox, receiver: Receiver) -> None:
    """With 400 callbacks owed to a receiver that never answers, others behind them are sent at once."""
    with Tarpit() as tarpit:
        for _ in range(400):
            owe(tools, tarpit.url())
        behind = [owe(tools, receiver.url()) for _ in range(5)]
        elsewhere = [owe(tools, receiver.url(), account=OTHER)]

        assert called_within(tools, receiver, behind) < SOON_SECONDS
        assert called_within(tools, receiver, elsewhere, account=OTHER) < SOON_SECONDS
        assert tarpit.most_open <= 8


def test_what_waits_for_a_place_was_not_tried(tools: Toolbox) -> None:
    """A callback that found no place has no attempt counted, stays owed, and is sent once the receiver answers."""
    with Tarpit() as tarpit:
        job_ids = [owe(tools, tarpit.url()) for _ in range(60)]
        tools.callback_sender.deliver(ACCOUNT)
        eventually(lambda: any(one.tries for one in unfinished(tools)), what="some attempts have ended")
        found = unfinished(tools)
        port = tarpit.port
    assert sorted(one.job_id for one in found) == sorted(job_ids)
    assert not any(one.failed for one in found)
    assert sum(one.tries for one in found) <= 8

    receiver = Receiver(CALLBACK_SECRET)
    receiver.port = port
    with receiver:
        assert called_within(tools, receiver, job_ids) < 60
    assert len({call.webhook_id for call in receiver.calls}) == len(job_ids)


def test_many_tarpits_leave_places_for_others(tools: Toolbox, receiver: Receiver) -> None:
    """Two hundred hosts that never answer take no place of a receiver that is known to answer."""
    known = [owe(tools, receiver.url()) for _ in range(3)]
    called_within(tools, receiver, known)
    hosts = ADDRESSES[1:]
    with Tarpit(*hosts) as tarpit:
        for host in hosts * 3:
            owe(tools, tarpit.url(host))
        tools.callback_sender.deliver(ACCOUNT)
        eventually(lambda: tarpit.open >= 100, what="the tarpits have taken what they can")
        behind = [owe(tools, receiver.url()) for _ in range(5)]

        assert called_within(tools, receiver, behind) < SOON_SECONDS


@pytest.mark.parametrize("tools", [15.0], indirect=True)
def test_tarpits_with_a_good_history_leave_places_for_others(tools: Toolbox, receiver: Receiver) -> None:
    """Receivers that answered quickly, and hang all at once, take the places of others for less than a time-out.

    A process without a free place has some again after `QUICK_SECONDS`. What was put off comes again within
    `LONGEST_PAUSE_SECONDS`.
    """
    known = [owe(tools, receiver.url()) for _ in range(3)]
    called_within(tools, receiver, known)
    hosts = ADDRESSES[1:101]
    with Tarpit(*hosts, answers=3) as tarpit:
        for host in hosts * 3:
            owe(tools, tarpit.url(host))
        tools.callback_sender.deliver(ACCOUNT)
        eventually(lambda: tarpit.trusted, what="all tarpits have answered", within_seconds=30)
        for host in hosts * 6:
            owe(tools, tarpit.url(host))
        tools.callback_sender.deliver(ACCOUNT)
        eventually(lambda: tarpit.open >= 150, what="the tarpits have taken what they can")
        behind = [owe(tools, receiver.url()) for _ in range(5)]

        within_seconds = QUICK_SECONDS + LONGEST_PAUSE_SECONDS + SOON_SECONDS
        assert called_within(tools, receiver, behind) < within_seconds


def test_a_new_receiver_is_called_beside_many_tarpits(tools: Toolbox, receiver: Receiver) -> None:
    """Also a host that nobody has called before has its turn, soon after the first of theirs have timed out."""
    hosts = ADDRESSES[1:]
    with Tarpit(*hosts) as tarpit:
        for host in hosts * 3:
            owe(tools, tarpit.url(host))
        behind = [owe(tools, receiver.url()) for _ in range(5)]

        assert called_within(tools, receiver, behind) < 4 * TIMEOUT_SECONDS


@pytest.mark.parametrize("drip", [b"H", b"HTTP/1.1 200 OK\r\nx-drip: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_drip_is_no_answer(tools: Toolbox, receiver: Receiver, drip: bytes) -> None:
    """A receiver that sends a little for ever is given up after the time-out, like one that sends nothing."""
    with Tarpit(drip=drip) as tarpit:
        owe(tools, tarpit.url())
        behind = owe(tools, receiver.url())
        assert called_within(tools, receiver, [behind]) < SOON_SECONDS
        [tried] = eventually(lambda: [one for one in unfinished(tools) if one.tries], what="it was tried")
        assert (tried.tries, tried.failed) == (1, False)
        eventually(lambda: tarpit.open == 0, what="the connection is closed")


def test_a_receiver_that_answers_is_called_quickly(tools: Toolbox, receiver: Receiver) -> None:
    """A host's limit costs a receiver that answers little: it gets 300 callbacks within seconds, once each."""
    job_ids = [owe(tools, receiver.url()) for _ in range(300)]
    assert called_within(tools, receiver, job_ids) < 10
    assert len(receiver.calls) == len(job_ids)
