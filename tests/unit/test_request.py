"""How workers describe a received job, and which messages they refuse instead of ending."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import InvalidTaskError
from kombu import Connection
from kombu.message import Message

from workers.celery_patches.request import JobRequest

PICTURE = "aGVsbG8gcGljdHVyZQ=="
REQUEST = {"provider": "photogpt", "operation": "image", "params": {"prompt": "a red fox", "image": PICTURE}}


@pytest.fixture
def app() -> Celery:
    """An app with a task that is received as ours is; nothing is connected to."""
    made = Celery("test", set_as_current=False, broker="memory://", backend="cache+memory://")

    @made.task(name="bide.generate", shared=False)  # else every other app of the process would know it
    def generate() -> None: ...

    return made


def received(app: Celery, body: Any, **headers: Any) -> JobRequest:
    """A job as a worker makes it of a message."""
    with Connection("memory://") as connection:
        message = Message(
            body=json.dumps(body),
            channel=connection.channel(),
            content_type="application/json",
            content_encoding="utf-8",
            headers={"id": "j1", "task": "bide.generate", **headers},
            properties={},
            delivery_info={},
        )
        return JobRequest(message, app=app, task=app.tasks["bide.generate"])


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ([[], None, {}], {}),
        ([[], [], {}], {}),
        ([{}, {}, {}], {}),
        ([None, {}, {}], {}),
        ([[], {}, {}], {"id": 7}),
        ([[], {}, {}], {"id": ["j1"]}),
        ([[], {}, {}], {"id": None}),
        ([[], {}], {}),
        (7, {}),
        (None, {}),
    ],
)
def test_a_message_of_another_shape_is_refused(app: Celery, body: Any, headers: dict[str, Any]) -> None:
    """The consumer rejects an `InvalidTaskError`; any other error would end its worker, and then the next one."""
    with pytest.raises(InvalidTaskError):
        received(app, body, **headers)


def test_a_message_without_an_id_is_refused(app: Celery) -> None:
    """Its header may be missing altogether."""
    message = Message(body="[[], {}, {}]", content_type="application/json", headers={"task": "bide.generate"})

    with pytest.raises(InvalidTaskError, match="not a task message: KeyError"):
        JobRequest(message, app=app, task=app.tasks["bide.generate"])


@pytest.mark.parametrize("as_keyword", [True, False])
def test_no_description_shows_the_arguments(app: Celery, as_keyword: bool) -> None:
    """`inspect active`, Flower's worker page and every log line have the description and no picture."""
    args, kwargs = ([], {"request": REQUEST}) if as_keyword else ([REQUEST], {})
    job = received(app, [args, kwargs, {}], argsrepr=PICTURE, kwargsrepr=PICTURE)

    for info in (job.info(), job.info(safe=True)):
        assert (info["id"], info["args"], info["kwargs"]) == ("j1", "", "photogpt image: a red fox")
        assert PICTURE not in repr(info)
    assert repr(job) == "<JobRequest: bide.generate[j1]>"


def test_a_hint_shows_its_jobs_description(app: Celery) -> None:
    """It carries no arguments, but the description that was made when they came."""
    assert received(app, [[], {}, {}], kwargsrepr="photogpt image: a red fox").kwargsrepr == "photogpt image: a red fox"


@pytest.mark.parametrize("request_", ["text", 7, [], {"provider": "deep"}])
def test_a_description_never_raises(app: Celery, request_: Any) -> None:
    """Also of a value that is nested so deep that Python can't print it."""
    if isinstance(request_, dict):
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        job = received(app, [[], {"request": {}}, {}])
        job.kwargs["request"] = {"provider": deep}
    else:
        job = received(app, [[], {"request": request_}, {}])

    assert job.kwargsrepr == ("? ?" if isinstance(request_, dict) else "not a request")
