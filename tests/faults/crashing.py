"""For `celery worker -I tests.faults.crashing`: the process kills itself where `tests.faults.kills` orders it.

Each job (or polling round) that comes to the ordered point stays there; when all are there, SIGKILL: one kill, and each
of them at exactly that point. Requests that are to be half sent are cut as their bytes go out.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import threading
import time
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import obstore
import obstore.exceptions
from aiohttp.http_writer import StreamWriter
from celery.signals import task_prerun

from bide.crashpoints import Point, watchers
from tests.faults.kills import CUTTING, ORDER_VARIABLE, Kill, Order

ORDER = Path(os.environ[ORDER_VARIABLE])

#: The Celery task that works here, also on the event loop: what a thread hands over takes its context along.
_task: ContextVar[str] = ContextVar("_task", default="")

#: Whom the bytes that go out here belong to, where they are to be cut.
_cut_for: ContextVar[str] = ContextVar("_cut_for", default="")

_arrived: set[str] = set()
_lock = threading.Lock()


@task_prerun.connect
def _note_task(task_id: str, **_: Any) -> None:
    _task.set(task_id)
    _cut_for.set("")


def _watch(point: Point) -> None:
    order = Order.read(ORDER)
    if order is None or order.point != point:
        return
    whom = next((each for each in order.whom if _task.get().startswith(each)), None)
    if whom is None:
        return
    if point in CUTTING:
        _cut_for.set(whom)
        return
    _arrive(order, whom)
    if not _on_a_loop():  # a thread stays here; on a loop the others must come this far too
        threading.Event().wait()


def _arrive(order: Order, whom: str) -> None:
    """The last one kills the process; the order is gone by then, so that the next process lives."""
    with _lock:
        _arrived.add(whom)
        if _arrived < set(order.whom):
            return
        Kill(order.point, tuple(sorted(_arrived)), os.getpid(), time.time()).write(ORDER)
        os.kill(os.getpid(), signal.SIGKILL)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _arrive_cut(whom: str) -> None:
    if order := Order.read(ORDER):
        _arrive(order, whom)


def _halve(data: bytes) -> bytes:
    return data[: len(data) // 2]


_write, _send, _put = StreamWriter._write, http.client.HTTPConnection.send, obstore.put
_cut: set[str] = set()


def _write_cut(writer: StreamWriter, chunk: Any) -> None:
    """For aiohttp: of a request that is to be cut half of what goes out first goes out, and nothing after it."""
    whom = _cut_for.get()
    if not whom:
        _write(writer, chunk)
    elif whom not in _cut:
        _cut.add(whom)
        _write(writer, _halve(bytes(chunk)))
        _arrive_cut(whom)


def _writelines_cut(writer: StreamWriter, chunks: Iterable[Any]) -> None:
    _write_cut(writer, b"".join(chunks))


def _send_cut(connection: http.client.HTTPConnection, data: Any) -> None:
    """For botocore: of an upload that is to be cut the head goes out, and half of the first piece of the body."""
    whom = _cut_for.get()
    if not whom or bytes(data[:4]) in (b"PUT ", b"POST"):
        _send(connection, data)
        return
    _send(connection, _halve(bytes(data)))
    _arrive_cut(whom)
    threading.Event().wait()


def _put_cut(*arguments: Any, **options: Any) -> Any:
    """For obstore, whose bytes go out below Python: an upload that is to be cut fails here, and boto3 makes it."""
    if _cut_for.get():
        raise obstore.exceptions.GenericError
    return _put(*arguments, **options)


obstore.put = _put_cut
StreamWriter._write = _write_cut  # type: ignore[assignment,method-assign]  # this process is there to break
StreamWriter._writelines = _writelines_cut  # type: ignore[assignment,method-assign]  # this process is there to break
http.client.HTTPConnection.send = _send_cut  # type: ignore[assignment,method-assign]  # this process is there to break
watchers.append(_watch)
