"""The source of each upstream function that bide replaces or relies on is the one that was read."""

from __future__ import annotations

import hashlib
import inspect
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import pytest

from tests.unit import test_upstream_costs
from tests.unit.upstream import entries, read

CONSUMER = "celery.worker.consumer.consumer:Consumer"
DISPATCHER = "celery.events.dispatcher:EventDispatcher"
STORE = "celery.backends.base:BaseKeyValueStoreBackend"
RESULTS = "celery.backends.redis:RedisBackend"
CHANNEL = "kombu.transport.redis:Channel"
POLLER = "kombu.transport.redis:MultiChannelPoller"
BEAT = "redbeat.schedulers:RedBeatScheduler"

#: By entry of the README: upstream functions and classes, each with the digest of its source.
DIGESTS: dict[str, dict[str, str]] = {
    "pool": {
        "celery.concurrency.base:apply_target": "0009e6b89e28",
        "celery.concurrency.thread:TaskPool.on_apply": "0142e6d4c239",
        "celery.worker.request:Request.execute_using_pool": "59468ddcc619",
    },
    "consumer": {
        f"{CONSUMER}.create_task_handler": "ae884e46f78d",
        f"{CONSUMER}.ensure_connected": "997241bc3fb5",
        f"{CONSUMER}.on_connection_error_after_connected": "0052bf476626",
        f"{CONSUMER}.on_decode_error": "2473d9173707",
        f"{CONSUMER}.update_strategies": "7875af68d35f",
        "kombu.connection:Connection._ensure_connection": "4690b3beeb74",
        "kombu.connection:Connection.ensure_connection": "fe3cf6c6896a",
    },
    "message_check": {
        "celery.worker.strategy:default": "cae09d68d05c",
        "celery.worker.strategy:hybrid_to_proto2": "1cd17bf83fb4",
        "celery.worker.strategy:proto1_to_proto2": "fbfafc92b26e",
    },
    "request": {
        "celery.app.trace:TraceInfo.handle_error_state": "ed8778d6563a",
        "celery.app.trace:get_actual_ignore_result": "f9255b9b54b7",
        "celery.backends.base:Backend.mark_as_done": "f676ff3ac363",
        "celery.worker.request:Request.__init__": "c212241f7633",
        "celery.worker.request:Request.__repr__": "654a358579aa",
        "celery.worker.request:Request.info": "12fae6669e72",
    },
    "events": {
        f"{DISPATCHER}._publish": "ce6f38ed0408",
        f"{DISPATCHER}.flush": "22afe002ea48",
        f"{DISPATCHER}.publish": "bf4daa4c8615",
        f"{DISPATCHER}.send": "3362d680c544",
        "celery.app.events:Events": "cc010b2b0cea",
    },
    "result_backend": {
        "celery.backends.base:Backend.mark_as_retry": "2cc1119fbae1",
        "celery.backends.base:Backend.store_result": "5b9e751031b0",
        f"{STORE}._set_with_state": "0601fd88a781",
        f"{STORE}._store_result": "188a327edf57",
        f"{RESULTS}._set": "cd899a3ad672",
        f"{RESULTS}.ensure": "c0a5b35ce12d",
        f"{RESULTS}.exception_safe_to_retry": "923693ecca37",
        f"{RESULTS}.set": "c93935da40fe",
    },
    "remote_control": {
        "celery.app.utils:filter_hidden_settings": "81e786e9202b",
        "celery.worker.control:conf": "b64ecbd12ae8",
        "celery.worker.control:revoke": "39bd156dd986",
        "celery.worker.control:stats": "3ddfdcd0b316",
    },
    "task_cost": {
        "billiard.einfo:ExceptionInfo": "93796511a1a0",
        "celery.app.trace:TraceInfo.handle_retry": "97af7d8e59ff",
        "celery.utils.saferepr:saferepr": "8e8bd945b9ef",
        "celery.worker.request:Request.on_retry": "c6669c2729f8",
    },
    "channels": {
        f"{CHANNEL}._create_client": "1c0514d5617a",
        f"{CHANNEL}._get_client": "369bea9561a2",
        f"{CHANNEL}.conn_or_acquire": "02aeb5d87554",
        "kombu.transport.virtual.base:Channel.queue_bind": "75a6a166b318",
    },
    "consume": {
        f"{CHANNEL}._brpop_read": "30d82b79e82e",
        f"{CHANNEL}._brpop_start": "cf3946b7a9c0",
        f"{CHANNEL}._flush_brpop_reauth": "b27a98856d7e",
        f"{CHANNEL}.basic_consume": "717816398719",
        f"{CHANNEL}.close": "70e926ea841a",
        f"{POLLER}._register_BRPOP": "bfb24bb47d11",
        f"{POLLER}.maybe_check_brpop_health": "7f9e95d1e9b4",
        f"{POLLER}.on_poll_start": "5aea0325db67",
        f"{POLLER}.on_readable": "4e13d917b81f",
        "kombu.transport.virtual.base:Transport._deliver": "adad2aa41a16",
    },
    "wait": {
        f"{CHANNEL}._connparams": "022658065c16",
        "kombu.transport.redis:Transport.register_with_event_loop": "6e0670c96832",
    },
    "unacked": {
        f"{CHANNEL}._do_restore_message": "4340c07dbd92",
        f"{POLLER}.maybe_restore_messages": "120400f1c6e0",
        "kombu.transport.redis:QoS": "f1d8439ef898",
        "kombu.transport.virtual.base:QoS": "bcbcae8df826",
    },
    "decompress": {
        "kombu.compression:decompress": "2ede02ef9e62",
        "kombu.compression:register": "a1a10e255dfa",
    },
    "refusals": {
        f"{CONSUMER}.start": "a47fd8550466",
        "kombu.transport.redis:get_redis_error_classes": "d7a8aa426930",
    },
    "queues": {
        "celery.app.amqp:Queues.__getitem__": "2edcac65c0c7",
        "celery.app.amqp:Queues.__missing__": "a8af375611bf",
        "celery.app.amqp:Queues.new_missing": "773fbfe1c382",
        "celery.app.amqp:AMQP.Router": "72f16c69319d",
        "celery.app.routes:MapRoute.__call__": "74a35e92b76c",
        "celery.app.routes:Router.route": "267ced8bcad1",
        "celery.canvas:_basemap.apply_async": "e4c878027ad0",
    },
    "flower_log": {
        "flower.events:Events.run": "e283f1873d2e",
        "kombu.mixins:ConsumerMixin.on_connection_error": "ee0fdc15474b",
    },
    "flower_tasks": {
        "flower.utils.broker:Broker.__new__": "81d92635ce3c",
        "flower.views:BaseHandler.format_task": "bc1680398de7",
        "flower.views.tasks:TasksDataTable.format_task": "3d47ff69cb73",
    },
    "flower_site": {
        "flower.api.tasks:GetQueueLengths.get": "3548e2ebfab8",
        "flower.app:Flower.__init__": "35f4021451ad",
        "flower.app:rewrite_handler": "8d22224ad63f",
        "flower.command:apply_options": "c06944b57fcf",
        "flower.events:EventsState.__init__": "c5d517e482ab",
        "flower.utils.search:SearchDocument.from_task": "f709f18fcbe8",
        "flower.utils.search:TaskSearchEngine._index": "28faf3822ef4",
        "flower.utils.search:TaskSearchEngine.rebuild": "78c8a91d7fff",
        "flower.utils.search:TaskSearchEngine.upsert": "d44a825911f9",
        "flower.views:BaseHandler.get_active_queue_names": "325605d49f03",
        "flower.views.broker:BrokerView.get": "8ea947755441",
        "flower.views.tasks:TaskView.get": "13ae98131528",
        "flower.views.tasks:TasksDataTable.get": "71383afa0c00",
        "flower:static/css/flower.css": "0d264c4a7c34",
        "flower:static/js/flower.js": "bdfdec4c8467",
        "flower:templates/base.html": "d5bf25c01241",
        "flower:templates/broker.html": "560d2ff5e7fa",
        "flower:templates/navbar.html": "4228b7f223db",
        "flower:templates/task.html": "24ef06e0df82",
        "flower:templates/tasks.html": "00ff6f6767cf",
    },
    "redbeat": {
        f"{BEAT}.close": "71b893685a7d",
        f"{BEAT}.setup_schedule": "719b00df85eb",
        f"{BEAT}.tick": "5c81969b3825",
        "redbeat.schedulers:acquire_distributed_beat_lock": "3d4693e7b5e7",
    },
}

PACKAGES = {"redbeat": "celery-redbeat"}


def source_of(path: str) -> str:
    """The source of `module:name.name`, as it is written in the installed file; or that of `package:folder/file`."""
    module, _, names = path.partition(":")
    found: Any = import_module(module)
    if "/" in names:
        return (files(found) / names).read_text(encoding="utf-8")
    for name in names.split("."):
        found = inspect.getattr_static(found, name)
    return inspect.getsource(found.__func__ if isinstance(found, staticmethod) else found)


def digest_of(source: str) -> str:
    """A short digest that does not depend on white space."""
    return hashlib.sha256(" ".join(source.split()).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("entry", "path"), [(entry, path) for entry, digests in DIGESTS.items() for path in digests], ids=str
)
def test_upstream_is_as_it_was_read(entry: str, path: str) -> None:
    """A library that changed under a change of bide's is found by the upgrade, and not by a deployment."""
    package = path.partition(":")[0].partition(".")[0]
    installed = version(PACKAGES.get(package, package))

    assert digest_of(source_of(path)) == DIGESTS[entry][path], f"{path} differs in {package} {installed}: {read(entry)}"


def test_every_entry_of_the_readme_has_a_case() -> None:
    """An entry without an upstream function, or a function without an entry, is forgotten at the next upgrade."""
    assert entries() == set(DIGESTS) | {"versions"}
    assert set(test_upstream_costs.ENTRIES) <= entries()
