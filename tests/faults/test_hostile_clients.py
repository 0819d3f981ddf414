"""Clients that mean harm, or know no better: refused or harmless; the same processes go on and buy nothing twice."""

from __future__ import annotations

import base64
import json
import pickle
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.result import AsyncResult
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from bide.contract import CONTROL_QUEUE, QUEUES, STORE_QUEUE, SUBMIT_QUEUE
from tests.faults.counting import check_nothing_left, ends
from tests.faults.hostile import NOBODYS, Item, items, message, packed
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

#: How many handfuls of spoilt messages are tried; 400 took three minutes and found no more than 60 do.
EXAMPLES = 60

MIB = 1024 * 1024


def push(rig: Rig, *given: Item) -> None:
    """Lay them on their queues as they are."""
    with rig.server() as server:
        for item in given:
            server.lpush(item.queue, item.content)


def waiting(rig: Rig) -> int:
    """How many messages lie on the queues."""
    with rig.server() as server:
        return sum(map(server.llen, QUEUES))


def goes_on(rig: Rig, caller: Caller, pids: tuple[int, int]) -> None:
    """All that was pushed has been taken, and the same processes still serve."""
    eventually(lambda: not waiting(rig), what="all queues are empty", within_seconds=15)
    for queue in (SUBMIT_QUEUE, STORE_QUEUE):
        refused = caller.app.send_task("bide.generate", kwargs={"request": NOBODYS}, queue=queue)
        assert failure(refused, seconds=15)["code"] == "invalid_request"
    assert (rig.worker.alive, rig.poller.alive) == (True, True)
    assert pids == (rig.worker.pid, rig.poller.pid)
    eventually(lambda: nothing_runs(caller), what="no thread is lost to a message")


def nothing_runs(caller: Caller) -> bool:
    """Both processes say that none of their threads has a task, and none of their messages waits for one."""
    inspect = caller.app.control.inspect(timeout=5, limit=2)
    active, reserved = inspect.active() or {}, inspect.reserved() or {}
    return len(active) == len(reserved) == 2 and not any((*active.values(), *reserved.values()))


@pytest.fixture
def unharmed(rig: Rig, caller: Caller) -> Iterator[None]:
    """After the test the same processes go on."""
    pids = rig.worker.pid, rig.poller.pid
    yield
    goes_on(rig, caller, pids)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],  # each example costs a second or two, and shrinking one that kills a worker ten
    suppress_health_check=list(HealthCheck),
)
@given(given=st.lists(items(), min_size=3, max_size=8))
def test_no_message_stops_anybody(deployment: Rig, caller: Caller, given: list[Item]) -> None:
    """Messages with any part missing, of a wrong type or of nonsense: after them the same processes serve."""
    deployment.mend()
    pids = deployment.worker.pid, deployment.poller.pid
    note(repr(given))

    push(deployment, *given)

    goes_on(deployment, caller, pids)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"{",
        pickle.dumps(["a", "pickle"]),
        b"[" * 200_000,
        b'{"__type__": "datetime", "__value__": 5}',
        json.dumps({**message(SUBMIT_QUEUE), "properties": None}).encode(),
    ],
    ids=["nothing", "null", "no text", "half", "a pickle", "too deep", "a typed value", "no properties"],
)
def test_what_is_no_message_is_dropped(rig: Rig, content: bytes) -> None:
    """A plain Celery ends where it finds what is no message at all: one worker after the other."""
    push(rig, *(Item(queue, content) for queue in QUEUES for _ in range(3)))


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


@pytest.mark.usefixtures("unharmed")
def test_nothing_but_json_is_read(rig: Rig, tmp_path: Path) -> None:
    """Pickles, YAML and what nobody knows are refused unread, in a message's body as in its headers."""
    path = tmp_path / "unpickled"
    pickled = base64.b64encode(pickle.dumps([[Bomb(path)], {}, {}])).decode()
    yaml = base64.b64encode(f"!!python/object/apply:os.mknod [{path}]".encode()).decode()

    for queue in QUEUES:
        for kind in ("application/x-python-serialize", "pickle", "application/json", "application/nothing", None):
            push(rig, Item(queue, packed({**message(queue), "content-type": kind, "body": pickled})))
        for kind in ("application/x-yaml", "yaml"):
            push(rig, Item(queue, packed({**message(queue), "content-type": kind, "body": yaml})))

    eventually(lambda: not waiting(rig), what="all were taken")
    assert not path.exists()


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("how", ["gzip", "zlib", "bzip2", "lzma", "zstd", "nonsense"])
def test_a_packed_message_does_not_fill_the_memory(rig: Rig, how: str) -> None:
    """A body of 200 kB that unpacks to 200 MB is refused at the limit, and so is what is packed in unknown ways."""
    bomb = base64.b64encode(zlib.compress(b" " * 200 * MIB)).decode()
    sent = message(SUBMIT_QUEUE, compression=how)
    before = rig.worker.peak_bytes

    push(rig, *[Item(SUBMIT_QUEUE, packed({**sent, "body": bomb}))] * 5)

    eventually(lambda: not waiting(rig), what="all were taken")
    assert rig.worker.peak_bytes - before < 50 * MIB


@pytest.mark.usefixtures("unharmed")
def test_fifty_megabytes_are_refused(rig: Rig, caller: Caller) -> None:
    """The failure names the limit and what to do; nothing is bought."""
    marked = marker()

    refusal = failure(caller.submit(image(marked, params={"notes": "x" * 50 * MIB})))

    assert refusal["code"] == "invalid_request"
    assert "over the limit" in refusal["message"]
    assert rig.purchases(marked) == []


@pytest.mark.usefixtures("unharmed")
def test_a_deep_request_is_refused(rig: Rig, caller: Caller) -> None:
    """Lists in lists, some that JSON's reader takes and some that it does not."""
    for depth in (300, 900, 50_000):
        text = json.dumps(image()).replace('"m1"', "[" * depth + "]" * depth)
        body = base64.b64encode(f'[[], {{"request": {text}}}, {{}}]'.encode()).decode()
        sent = message(SUBMIT_QUEUE)
        push(rig, Item(SUBMIT_QUEUE, packed({**sent, "body": body})))
        if depth < 50_000:
            refused: AsyncResult[Any] = caller.result_of(sent["headers"]["id"])
            assert failure(refused)["code"] == "invalid_request"


@pytest.mark.usefixtures("unharmed")
def test_an_id_belongs_to_its_first_request(rig: Rig, caller: Caller) -> None:
    """An id that comes again with another request changes nothing: the first is bought, once, and answered."""
    marked, job_id = marker(), str(uuid.uuid4())

    first = caller.submit(image(f"{marked} first"), task_id=job_id)
    for number in range(20):
        caller.submit(image(f"{marked} other {number}"), task_id=job_id)

    assert succeeded(first)["provider"] == "photogpt"
    assert [bought["reference"] for bought in rig.purchases(marked)] == [f"{marked} first"]
    check_nothing_left(rig, marked)


@pytest.mark.usefixtures("unharmed")
def test_thousands_of_copies_are_one_job(rig: Rig) -> None:
    """Two thousand copies of one message are one purchase and one result."""
    marked = marker()
    sent = message(SUBMIT_QUEUE, body=[[], {"request": image(marked)}, {}])

    with rig.server() as server:
        pipeline = server.pipeline(transaction=False)
        for _ in range(2000):
            sent["properties"]["delivery_tag"] = str(uuid.uuid4())
            pipeline.lpush(SUBMIT_QUEUE, packed(sent))
        pipeline.execute()
    eventually(lambda: not waiting(rig), what="all were taken", within_seconds=60)

    assert ends(rig, [sent["headers"]["id"]]) == {"succeeded": 1}
    check_nothing_left(rig, marked)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("task", ["no.such.task", "celery.chord_unlock", "celery.map", "bide.generate.not", "", "../x"])
def test_foreign_tasks_are_refused(rig: Rig, caller: Caller, task: str) -> None:
    """Neither unknown tasks nor Celery's own are run: its `chord_unlock` would wait in the queue for ever."""
    argument = {"task": "bide.generate", "args": [], "kwargs": {"request": image()}}
    for queue in QUEUES:
        sent = message(queue, task=task, body=[[str(uuid.uuid4()), argument], {"interval": 1}, {}])
        sent["headers"]["task"] = task

        push(rig, Item(queue, packed(sent)))

        refused: AsyncResult[Any] = caller.result_of(sent["headers"]["id"])
        assert isinstance(refused.get(timeout=15, propagate=False), Exception)


#: A task of no worker.
_NOWHERE = {"task": "no.such.task", "args": [], "kwargs": {}, "immutable": False, "subtask_type": None}

#: Callbacks that are none, or can't be sent: a message with one is refused before anything is bought.
NO_CALLBACKS = {
    "a word": {"callbacks": "x"},
    "no task": {"callbacks": [{}]},
    "a number": {"errbacks": [5]},
    "a chord without a body": {"callbacks": [{"task": "celery.chord", "subtask_type": "chord"}]},
    "a group of nothing known": {"chain": [{"task": "celery.group", "subtask_type": "group", "kwargs": {"tasks": 5}}]},
    "a chord that is a list": {"chord": [1, 2]},
    "another job's id": {"id": "another"},
    "a countdown that is a word": {"callbacks": [{**_NOWHERE, "options": {"countdown": "soon"}}]},
    "a queue that is a number": {"chain": [{**_NOWHERE, "options": {"queue": 5}}]},
    "facts of ours": {"bide_messages": 5, "delivery_info": None},
}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("embedded", NO_CALLBACKS.values(), ids=NO_CALLBACKS)
def test_callbacks_that_are_none_are_refused(rig: Rig, embedded: dict[str, Any]) -> None:
    """What could not be called once the job is done is refused before it is bought."""
    marked = marker()

    push(rig, Item(SUBMIT_QUEUE, packed(message(SUBMIT_QUEUE, body=[[], {"request": image(marked)}, embedded]))))

    eventually(lambda: "shape of a task" in dict(rig.logs())["log of worker"], what="it is refused")
    assert rig.purchases(marked) == []


#: Callbacks that are well-formed, and lead nowhere.
FOREIGN = {
    "unknown task": {"callbacks": [{**_NOWHERE, "options": {}}]},
    "unknown queue": {"callbacks": [{**_NOWHERE, "options": {"queue": "nobodys"}}]},
    "one of our queues": {"callbacks": [{**_NOWHERE, "options": {"queue": CONTROL_QUEUE}}]},
    "unknown chord": {"chord": {**_NOWHERE, "options": {"task_id": "body", "chord_size": "three"}}},
}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("embedded", FOREIGN.values(), ids=FOREIGN)
def test_a_callback_that_leads_nowhere_harms_its_own_caller_only(rig: Rig, embedded: dict[str, Any]) -> None:
    """The job is bought once and stored, whatever becomes of its caller's callback."""
    marked = marker()
    sent = message(SUBMIT_QUEUE, body=[[], {"request": image(marked)}, embedded], group=str(uuid.uuid4()))
    job_id = sent["headers"]["id"]

    push(rig, Item(SUBMIT_QUEUE, packed(sent)))

    eventually(lambda: rig.state(job_id) == "succeeded", what="the job is done")
    check_nothing_left(rig, marked)


def test_every_provider_is_still_served(rig: Rig, caller: Caller) -> None:
    """After all of that one job of each provider is done and bought once."""
    marked = marker()
    body = {"mode": "image_text", "style": 1029, "params": {"Prompt": f"{marked} booth"}}
    requests = [
        image(f"{marked} gpt"),
        image(f"{marked} dream", provider="dreambooth", operation="text2img", params={"model_id": "midjourney"}),
        image(
            f"{marked} next", provider="nextry", operation="generate_image", account="main", params={"tool": "default"}
        ),
        {"provider": "cyberphotobooth", "operation": "generate", "params": body},
    ]
    for result in [caller.submit(request) for request in requests]:
        succeeded(result)
    check_nothing_left(rig, marked)
