"""Celery's settings. A test compares every name with those that Celery, kombu and RedBeat read."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

import redis
from celery.app.amqp import AMQP, Queues
from celery.app.backends import BACKEND_ALIASES
from celery.app.routes import Router
from kombu import Queue
from kombu.transport import TRANSPORT_ALIASES
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from bide.contract import QUEUES
from bide.settings.addresses import AMQP_SCHEMES, ServerUrl
from bide.settings.model import Settings
from config.queues import DECLARED, EXCHANGE, ROUTES
from config.schedules import SCHEDULES_FILE

#: Redis is near: a server that does not answer within these is away [seconds].
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 10.0
HEALTH_CHECK_SECONDS = 10

#: Publishing gives up after about half a second, so that a caller learns at once that the broker is away.
FAIL_FAST = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}

#: A caller's callback, sent at its job's end, waits about ten seconds: a blip must not turn a success into a failure.
PATIENT = {"max_retries": 7, "interval_start": 0, "interval_step": 0.5, "interval_max": 2}
PATIENT_SECONDS = 10

#: Between two turns of beat, and how long a dead beat keeps the lock [seconds].
BEAT_LOOP_SECONDS = 5
BEAT_LOCK_SECONDS = 5 * BEAT_LOOP_SECONDS

#: Beat retries a Redis that restarts for about as long as its lock lives. RedBeat's own retries are shorter. One that
#: takes connections and does not answer is left to beat's next turn, which says so.
BEAT_RETRY = Retry(ExponentialBackoff(cap=2.0, base=0.2), 15, supported_errors=(redis.ConnectionError,))


#: Options of a message that say where it goes.
DESTINATION = frozenset({"queue", "exchange", "exchange_type", "routing_key"})

#: The transport that replaces kombu's, by the scheme of the address. It is an alias, since an address may contain it.
TRANSPORTS = {"redis": "bide", "rediss": "bide", "unix": "bide", "sentinel": "bide-sentinel"}
TRANSPORT_ALIASES["bide"] = "workers.transport.channels:WorkerTransport"
TRANSPORT_ALIASES["bide-sentinel"] = "workers.transport.channels:SentinelWorkerTransport"

#: The result backend that replaces Celery's, by the scheme of the address; an alias, too.
RESULTS = {"redis": "bide", "rediss": "bide", "unix": "bide", "sentinel": "bide-sentinel"}
BACKEND_ALIASES["bide"] = "workers.celery_patches.result_backend:Results"
BACKEND_ALIASES["bide-sentinel"] = "workers.celery_patches.result_backend:SentinelResults"


class DeclaredQueues(Queues):
    """Queues of bide must be declared. A queue of another service, named in a caller's `link`, is sent to as it is."""

    def __missing__(self, name: str) -> Queue:
        if name.startswith("bide."):
            raise KeyError(name)
        return self.new_missing(name)


class CallerRouter(Router):
    """Routes tasks to where workers have them: bide's to their own queues, and no task of a caller's to one of those.

    `chord(...).apply_async(queue="bide.submit")` gives the queue of its jobs to the body, too.
    """

    def route(
        self, options: dict[str, Any], name: Any, args: Any = (), kwargs: Any = None, task_type: Any = None
    ) -> dict[str, Any]:
        """The options of a message with its queue; Celery names a `map` out of a message by the task's signature."""
        task = name["task"] if isinstance(name, dict) else name
        if task in ROUTES or _leads_to_bide(options):
            options = {key: value for key, value in options.items() if key not in DESTINATION}
        return super().route(options, task, args, kwargs, task_type)


def _leads_to_bide(options: dict[str, Any]) -> bool:
    return options.get("queue") in QUEUES or options.get("exchange") in (EXCHANGE.name, *QUEUES)


class Amqp(AMQP):
    """For `Celery(amqp=Amqp)`: without it a caller's callback in a queue of its own can't be sent."""

    queues_cls = DeclaredQueues

    def Router(self, queues: Any = None, create_missing: Any = None) -> Router:  # noqa: N802 - Celery's name
        return CallerRouter(self.routes, queues or self.queues, create_missing, app=self.app)


def celery_settings(settings: Settings) -> dict[str, Any]:
    """The whole configuration of the Celery app."""
    return {
        **_messages(),
        **_tasks(settings),
        **_worker(settings),
        **_broker(settings),
        **_results(settings),
        **_beat(settings),
    }


def _messages() -> dict[str, Any]:
    return {
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "enable_utc": True,
        "timezone": "UTC",
    }


def _tasks(settings: Settings) -> dict[str, Any]:
    return {
        "task_queues": DECLARED,
        "task_routes": ROUTES,
        # each task of bide has a route: this is for tasks of callers, whose signatures name no queue
        "task_default_queue": settings.worker.default_queue,
        "task_create_missing_queues": False,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        # celery-ts takes a STARTED record for the result
        "task_track_started": False,
        "task_send_sent_event": False,
        "task_publish_retry": True,
        "task_publish_retry_policy": PATIENT,
    }


def _worker(settings: Settings) -> dict[str, Any]:
    return {
        "worker_pool": "workers.celery_patches.pool:GuardedPool",
        "worker_consumer": "workers.celery_patches.consumer:GuardedConsumer",
        "worker_concurrency": settings.worker.concurrency,
        "worker_prefetch_multiplier": 1,
        # once this limit is reached, ready tasks wait behind parked ones
        "worker_eta_task_limit": None,
        "worker_send_task_events": True,
        "worker_enable_remote_control": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "event_queue_ttl": 5.0,
        "event_queue_expires": 60.0,
    }


def _broker(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": _broker_address(settings.broker_url),
        "broker_transport": TRANSPORTS.get(settings.broker_url.scheme),
        "broker_use_ssl": _tls(settings.broker_url),
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": _transport_options(settings),
    }


def _broker_address(url: ServerUrl) -> str:
    """The broker's address. A Unix socket's names the transport, which then goes before `broker_transport`."""
    return _kombu_address(url).replace("redis+socket://", f"{TRANSPORTS['unix']}+socket://", 1)


def _results_address(url: ServerUrl) -> str:
    """The address of results, with the alias of bide's result backend in front."""
    address = _kombu_address(url).replace("redis+socket://", "socket://", 1)  # as Celery cuts it itself
    return f"{RESULTS[url.scheme]}+{address}" if url.scheme in RESULTS else _kombu_address(url)


def _transport_options(settings: Settings) -> dict[str, Any]:
    if settings.broker_url.scheme in AMQP_SCHEMES:
        return {"confirm_publish": True, "connect_retries_timeout": PATIENT_SECONDS, **FAIL_FAST}
    return {
        "visibility_timeout": settings.timing.visibility_timeout_seconds,
        # a worker killed with the mutex stops all redelivery for as long
        "unacked_mutex_expire": 10,
        "unacked_restore_interval": 4,
        "unacked_restore_throttle": 1,
        "max_connections": _connections(settings),
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "socket_keepalive": True,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        # else kombu ends any policy of retries after four seconds
        "connect_retries_timeout": PATIENT_SECONDS,
        **_sentinel(settings.broker_url, settings),
        **FAIL_FAST,
    }


def _results(settings: Settings) -> dict[str, Any]:
    return {
        "result_backend": _results_address(settings.result_url),
        "result_expires": (settings.records.result_days or settings.timing.retention_days) * 24 * 3600,
        "result_extended": False,
        "result_backend_transport_options": {"retry_policy": FAIL_FAST, **_sentinel(settings.result_url, settings)},
        # a worker would lose the result and a thread with it: it tries for ever, Celery's own default
        "result_backend_always_retry": True,
        "result_backend_base_sleep_between_retries_ms": 100,
        "result_backend_max_sleep_between_retries_ms": 2000,
        "redis_backend_use_ssl": _tls(settings.result_url),
        "redis_backend_health_check_interval": HEALTH_CHECK_SECONDS,
        "redis_max_connections": _connections(settings),
        # a Unix socket has no keepalive, and the client refuses the option
        "redis_socket_keepalive": settings.result_url.scheme != "unix",
        "redis_socket_connect_timeout": CONNECT_SECONDS,
        "redis_socket_timeout": ANSWER_SECONDS,
    }


def _beat(settings: Settings) -> dict[str, Any]:
    return {
        "beat_scheduler": "workers.scheduling.scheduler.Scheduler",
        "beat_schedule_filename": str(SCHEDULES_FILE),
        "beat_max_loop_interval": BEAT_LOOP_SECONDS,
        "redbeat_lock_timeout": BEAT_LOCK_SECONDS,
        "redbeat_key_prefix": "bide:redbeat:",
        **_redbeat_redis(settings),
    }


def _redbeat_redis(settings: Settings) -> dict[str, Any]:
    url = settings.ledger_url
    options: dict[str, Any] = {"socket_timeout": ANSWER_SECONDS}
    if url.scheme != "sentinel":
        options |= {"socket_connect_timeout": CONNECT_SECONDS, "retry": BEAT_RETRY}
        return {"redbeat_redis_url": str(url), "redbeat_redis_options": options}
    nodes = [urlsplit(node) for node in url.split(";")]
    options |= {
        "sentinels": [(node.hostname, node.port or 26379) for node in nodes],
        "service_name": settings.sentinel_master,
        "password": nodes[0].password,
        "db": int(nodes[0].path.strip("/") or 0),
    }
    return {"redbeat_redis_url": "redis-sentinel://", "redbeat_redis_options": options}


def _connections(settings: Settings) -> int:
    """The most connections of a pool: one for each thread, and some for the consumer."""
    return 2 * max(settings.worker.concurrency, settings.poller.concurrency) + 16


def _sentinel(url: ServerUrl, settings: Settings) -> dict[str, Any]:
    return {"master_name": settings.sentinel_master} if url.scheme == "sentinel" else {}


def _tls(url: ServerUrl) -> dict[str, Any] | None:
    """Check certificates. kombu would not, and Celery refuses to start where the address leaves it open."""
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} if url.scheme == "rediss" else None


def _kombu_address(url: ServerUrl) -> str:
    """The address as kombu spells it, which differs from redis-py's for a Unix socket."""
    if url.scheme != "unix":
        return str(url)
    return url.replace("unix://", "redis+socket://", 1).replace("db=", "virtual_host=")
