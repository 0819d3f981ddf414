"""Celery's settings: every name is one that Celery, kombu or RedBeat reads, and they do what they are there for."""

import inspect
import itertools
import math
import socket
import ssl
import time
from typing import Any

import celery.backends.redis
import pytest
import redbeat.schedulers
import redis
from celery import Celery, Task
from celery.app.defaults import SETTING_KEYS
from celery.app.routes import Router
from celery.backends.redis import SentinelBackend
from celery.concurrency import get_implementation
from celery.concurrency.thread import TaskPool
from celery.exceptions import QueueNotFound
from celery.utils.imports import symbol_by_name
from kombu import Connection
from kombu.transport.redis import Channel, SentinelChannel
from kombu.utils.functional import fxrange

from bide.contract import QUEUES
from bide.ledger import AccountName, Hint, Messages, Round
from config.celery import Amqp, celery_settings
from config.queues import CANCEL, DECLARED, GENERATE, POLL, TASKS
from config.settings import load
from workers.services.dispatcher import Dispatcher

REDIS, RABBIT = "redis://127.0.0.1:6379/0", "amqp://127.0.0.1//"
SENTINEL = "sentinel://:hush@127.0.0.1:26379/3;sentinel://:hush@127.0.0.1:26380/3"
BROKERS = [REDIS, "rediss://127.0.0.1:6379/0", "unix:///run/redis.sock?db=2", SENTINEL, RABBIT]


def configured(broker_url: str = REDIS, **variables: str) -> dict[str, Any]:
    """Celery's settings for a broker; records and results are in Redis in any case."""
    elsewhere = {"BIDE_LEDGER_URL": REDIS} if broker_url == RABBIT else {}
    environ = {"BIDE_S3__BUCKET": "results", "BIDE_BROKER_URL": broker_url, **elsewhere, **variables}
    return celery_settings(load(environ, env_file=None))


def app(broker_url: str = REDIS, **variables: str) -> Celery:
    """An app of its own with these settings; nothing is connected to."""
    made = Celery("test", set_as_current=False, amqp=Amqp)
    made.config_from_object(configured(broker_url, **variables))
    return made


def closed_address() -> str:
    """The address of a port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


# Names


@pytest.mark.parametrize("broker_url", BROKERS)
def test_every_setting_is_one_that_is_read(broker_url: str) -> None:
    """Celery ignores a setting it does not know, so each name must occur in its sources."""
    unlisted = inspect.getsource(celery.backends.redis) + inspect.getsource(redbeat.schedulers)

    for name in configured(broker_url):
        assert name in SETTING_KEYS or f"'{name}'" in unlisted, name


@pytest.mark.parametrize("broker_url", BROKERS)
def test_every_transport_option_is_one_that_is_read(broker_url: str) -> None:
    """Kombu ignores an option of the transport that it does not know, too."""
    retries = inspect.getsource(Connection._extract_failover_opts)
    read = {
        REDIS: set(Channel.from_transport_options),
        SENTINEL: set(SentinelChannel.from_transport_options),
        RABBIT: {"confirm_publish"},
    }

    for name in configured(broker_url)["broker_transport_options"]:
        assert name in read.get(broker_url, read[REDIS]) or f"'{name}'" in retries, name


def test_amqp_broker_gets_nothing_of_redis() -> None:
    """RabbitMQ's client would pass on what it does not know, or fail over it."""
    options = configured(RABBIT)["broker_transport_options"]

    assert not set(options) & set(Channel.from_transport_options)
    assert options["confirm_publish"] is True


@pytest.mark.parametrize("options", TASKS, ids=lambda options: options["name"])
def test_every_task_option_is_one_of_celerys(options: dict[str, Any]) -> None:
    """Celery swallows a misspelt option (`ignore_results=True`): each must be an attribute of its tasks."""
    read_per_call = {"queue"}

    assert all(hasattr(Task, name) for name in set(options) - read_per_call)


# What is in force


def test_app_is_built_without_a_network() -> None:
    """The settings make an app that works as the design asks."""
    conf = app().conf

    assert conf.accept_content == ["json"]
    assert conf.task_serializer == conf.result_serializer == conf.event_serializer == "json"
    assert issubclass(get_implementation(conf.worker_pool), TaskPool)
    assert issubclass(symbol_by_name(conf.beat_scheduler), redbeat.schedulers.RedBeatScheduler)
    assert (conf.worker_prefetch_multiplier, conf.worker_eta_task_limit) == (1, None)
    assert (conf.task_acks_late, conf.task_ignore_result, conf.task_track_started) == (True, True, False)
    assert conf.result_expires == 7 * 24 * 3600
    assert app(BIDE_RECORDS__RESULT_DAYS="1").conf.result_expires == 24 * 3600
    assert conf.worker_hijack_root_logger is False
    assert conf.worker_cancel_long_running_tasks_on_connection_loss is False


def test_connections_are_above_the_concurrency() -> None:
    """Each thread needs a connection to acknowledge: kombu's default of 10 fails under load."""
    settings = configured(BIDE_WORKER__CONCURRENCY="8", BIDE_POLLER__CONCURRENCY="100")

    assert settings["worker_concurrency"] == 8
    assert settings["broker_transport_options"]["max_connections"] > 100
    assert settings["redis_max_connections"] > 100


def test_redelivery_is_looked_for_every_few_seconds() -> None:
    """A killed worker's messages come back soon after the visibility timeout, not minutes later."""
    options = configured(BIDE_TIMING__VISIBILITY_TIMEOUT_SECONDS="400")["broker_transport_options"]

    assert options["visibility_timeout"] == 400
    assert options["unacked_restore_interval"] * options["unacked_restore_throttle"] <= 10
    assert options["unacked_mutex_expire"] == 10


def test_queues_are_the_declared_ones() -> None:
    """Foreign clients push to lists of these very names."""
    queues = app().amqp.queues

    assert tuple(queue.name for queue in DECLARED) == QUEUES
    assert set(queues) == set(QUEUES)
    assert {queue.exchange.type for queue in DECLARED} == {"direct"}
    assert all(queue.queue_arguments is None for queue in DECLARED)


def test_redis_list_has_the_name_of_its_queue() -> None:
    """A message of no priority, as every one of ours is, lies in the list that is named as the queue."""
    channel: Any = Channel.__new__(Channel)

    assert [channel._q_for_pri(name, 0) for name in QUEUES] == list(QUEUES)
    assert "priority_steps" not in configured()["broker_transport_options"]


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        (GENERATE["name"], "bide.submit"),
        (POLL["name"], "bide.poll"),
        (CANCEL["name"], "bide.control"),
        ("x", "celery"),
    ],
)
def test_tasks_go_to_their_queues(task: str, queue: str) -> None:
    """A task that is sent by its name alone reaches the right queue."""
    assert app().amqp.router.route({}, task)["queue"].name == queue


def test_no_queue_of_bide_is_made_up() -> None:
    """A misspelt queue of ours is refused; one that a caller's callback names is sent to, and not consumed from."""
    made = app()

    with pytest.raises(QueueNotFound):
        made.amqp.router.route({"queue": "bide.sumbit"}, "x")
    assert made.amqp.router.route({"queue": "callers.own"}, "x")["queue"].name == "callers.own"
    assert "callers.own" not in made.amqp.queues.consume_from


def test_tasks_of_callers_go_to_the_queue_of_their_app() -> None:
    """A deployment whose callers have another `task_default_queue` says so once."""
    made = app(BIDE_WORKER__DEFAULT_QUEUE="orders")

    assert made.amqp.router.route({}, "x")["queue"].name == "orders"
    assert made.amqp.router.route({"queue": "other"}, "x")["queue"].name == "other"
    assert made.amqp.router.route({}, GENERATE["name"])["queue"].name == "bide.submit"


@pytest.mark.parametrize(
    "options",
    [
        {"queue": "bide.submit"},
        {"exchange": "bide", "routing_key": "bide.control"},
        {"exchange": "bide.store", "routing_key": "bide.store", "exchange_type": "direct"},
    ],
    ids=str,
)
def test_no_task_of_a_caller_goes_to_bides_workers(options: dict[str, str]) -> None:
    """They do not have it: its message would be dropped, with a line in their log."""
    routed = app().amqp.router.route({**options, "priority": 3}, "x")

    assert routed.pop("queue").name == "celery"
    assert routed == {"priority": 3}


@pytest.mark.parametrize("options", [{"queue": "orders"}, {"exchange": "e", "routing_key": "k"}], ids=str)
def test_no_task_of_bide_goes_elsewhere(options: dict[str, str]) -> None:
    """No other worker has it."""
    routed = app().amqp.router.route(dict(options), GENERATE["name"])

    assert routed.pop("queue").name == "bide.submit"
    assert routed == {}


def test_a_map_out_of_a_message_is_routed_as_its_task() -> None:
    """Celery names it by a signature there, at which its own router breaks."""
    router, name = app().amqp.router, {"task": "x", "args": []}

    assert router.route({}, name)["queue"].name == "celery"  # type: ignore[arg-type]  # what Celery does
    with pytest.raises(TypeError):
        Router.route(router, {}, name)  # type: ignore[arg-type]  # what Celery does


# Addresses


def test_tls_checks_certificates() -> None:
    """Kombu's default for rediss:// is to check nothing, the result backend's is to refuse to start."""
    made = app("rediss://127.0.0.1:6379/0")
    backend: Any = made.backend

    assert made.connection_for_write().ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert backend.connparams["ssl_cert_reqs"] == ssl.CERT_REQUIRED


def test_unix_socket_reaches_all_three() -> None:
    """Kombu, Celery's results and RedBeat each get the socket in their own spelling."""
    made = app("unix:///run/redis.sock?db=2")
    backend: Any = made.backend

    assert made.connection_for_write().hostname == "socket:///run/redis.sock?virtual_host=2"
    assert (backend.connparams["path"], backend.connparams["db"]) == ("/run/redis.sock", 2)
    assert made.conf.redbeat_redis_url == "unix:///run/redis.sock?db=2"


def test_sentinels_are_asked_for_the_master() -> None:
    """Kombu, results and RedBeat know which master to ask for, and all the sentinels to ask."""
    conf = app(SENTINEL, BIDE_SENTINEL_MASTER="jobs").conf

    assert conf.broker_transport_options["master_name"] == "jobs"
    assert conf.result_backend_transport_options["master_name"] == "jobs"
    assert conf.redbeat_redis_options["sentinels"] == [("127.0.0.1", 26379), ("127.0.0.1", 26380)]
    assert (conf.redbeat_redis_options["service_name"], conf.redbeat_redis_options["db"]) == ("jobs", 3)


# When Redis is away


def test_our_own_messages_fail_fast(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a broker the dispatcher gives up in less than 2 seconds: the sweeper sends them again."""
    account = AccountName("photogpt", "default")
    hint = Hint(account=account, job_id="j1", queue="bide.submit")
    begun = time.monotonic()

    Dispatcher(app(closed_address())).send(Messages(hints=(hint,), round=Round(account, seq=1, countdown_seconds=0)))

    assert time.monotonic() - begun < 2
    assert "dispatch.failed" in capsys.readouterr().out


@pytest.mark.parametrize("broker_url", [REDIS, RABBIT])
def test_callbacks_of_callers_wait_for_the_broker(broker_url: str) -> None:
    """Celery makes a failure of a job whose `link` can't be sent: a restart of the broker must not do that."""
    conf = app(broker_url).conf
    policy = conf.task_publish_retry_policy
    pauses = fxrange(policy["interval_start"], policy["interval_max"], policy["interval_step"], repeatlast=True)

    waited_seconds = sum(itertools.islice(pauses, policy["max_retries"]))

    assert 8 <= waited_seconds <= conf.broker_transport_options["connect_retries_timeout"] <= 12


@pytest.mark.parametrize("broker_url", BROKERS)
def test_results_are_stored_however_long_it_takes(broker_url: str) -> None:
    """A result that is given up costs the pool its thread for ever; so it is where Redis is away, or refuses."""
    backend: Any = app(broker_url).backend

    assert backend.always_retry
    assert backend.max_retries == math.inf
    assert backend.exception_safe_to_retry(redis.ResponseError("NOREPLICAS Not enough good replicas to write."))
    assert isinstance(backend, SentinelBackend) == (broker_url == SENTINEL)
