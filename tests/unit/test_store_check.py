"""The test of the object store: what a submit waits for, when a test is made again, and what is logged."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bide.errors import ConfigurationError, StorageError
from bide.storage import Storage
from workers.services import store_check
from workers.services.store_check import StoreCheck

#: How long a test of this file waits for another thread [seconds].
PATIENCE_SECONDS = 20.0


class Store:
    """A store in memory that does as `does` says."""

    def __init__(self) -> None:
        self.does = "well"
        self.objects: dict[str, bytes] = {}
        self.opened = 0
        self.tests = 0
        self.goes_on = threading.Event()

    def open(self) -> Storage:
        """A connection of its own."""
        self.opened += 1
        return cast("Storage", self)

    def uri(self, key: str) -> str:
        return f"s3://b/{key}"

    def put(self, key: str, content: bytes, *, in_parts: bool, **_: Any) -> str:
        self.tests += not in_parts
        if self.does == "no boto3":
            raise ConfigurationError("object storage needs boto3")
        if self.does == "hangs":
            assert self.goes_on.wait(PATIENCE_SECONDS)
        if self.does == "refuses" or (self.does == "refuses parts" and in_parts):
            raise StorageError("s3://b/k: AccessDenied", permanent=True)
        if self.does == "breaks":
            raise ValueError("no S3 at all")
        if self.does != "loses":
            self.objects[key] = content
        return "v1"

    def get(self, uri: str, *, max_bytes: int) -> bytes:
        return self.objects.get(uri.removeprefix("s3://b/"), b"")[:max_bytes]

    def remove(self, key: str, version: str) -> None:
        if self.does != "may not delete":
            self.objects.pop(key, None)


@pytest.fixture
def store() -> Store:
    """The store that is tested."""
    return Store()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of the tests that go on by themselves."""
    monkeypatch.setattr(store_check, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("workers.io.store_probe.READ_AGAIN_SECONDS", (0.01,))


@contextmanager
def checking(store: Store, **options: Any) -> Iterator[StoreCheck]:
    """A check that ends with the block."""
    check = StoreCheck(store.open, **options)
    try:
        yield check
    finally:
        store.goes_on.set()
        check.stop()


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Turn the clock of the check."""
    monkeypatch.setattr(store_check, "monotonic", lambda: time.monotonic() + seconds)


def until(condition: Any) -> None:
    """Wait for another thread."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("well", ""),
        ("may not delete", ""),
        ("refuses", "an object in one piece: s3://b/k: AccessDenied"),
        ("refuses parts", "an upload in parts: s3://b/k: AccessDenied"),
        ("loses", "does not give it back whole"),
        ("breaks", "the test of the object store broke: ValueError"),
        ("no boto3", "object storage needs boto3"),
    ],
)
def test_a_submit_hears_how_the_store_is(store: Store, does: str, words: str) -> None:
    """'' alone means that it may buy; the test leaves nothing that it may take away."""
    store.does = does
    with checking(store) as check:
        refusal = check.wait()
        assert words in refusal
        assert bool(refusal) is bool(words)
    assert len(store.objects) <= (1 if does == "may not delete" else 0)


def test_one_test_is_enough_for_many_submits(store: Store) -> None:
    """A fresh one counts; one that is too old is made anew before the submit goes on."""
    with checking(store) as check:
        assert [check.wait() for _ in range(50)] == [""] * 50
        assert store.tests == 1


def test_an_old_test_does_not_count(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has gone bad while nobody looked: nothing is bought on the old news."""
    with checking(store) as check:
        assert check.wait() == ""
        later(monkeypatch, 61)
        assert check.wait() == ""
        assert (store.opened, store.tests) == (1, 2)
        store.does = "refuses"
        assert check.wait() == ""
        later(monkeypatch, 122)
        assert "AccessDenied" in check.wait()


def test_a_failed_upload_asks_for_a_test(store: Store) -> None:
    """The next submit waits for it."""
    with checking(store) as check:
        assert check.wait() == ""
        store.does = "refuses"
        check.doubt()
        assert "AccessDenied" in check.wait()


def test_a_store_that_is_well_again_is_found_by_itself(store: Store) -> None:
    """Each test opens the store anew, which reads mended keys, and who uses it hears of it once."""
    returned: list[bool] = []
    with capture_logs() as logs, checking(store, on_return=lambda: returned.append(True)) as check:
        store.does = "refuses"
        assert check.wait()
        assert check.refusal == check.wait()
        until(lambda: store.opened > 3)
        store.does = "well"
        until(lambda: not check.refusal)
        assert check.wait() == ""
        until(lambda: returned)
    assert returned == [True]
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("store.refuses", "error"),
        ("store.accepts", "info"),
    ]
    assert "`bide doctor`" in logs[0]["remedy"]


def test_a_store_that_does_not_answer_keeps_a_submit_only_for_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first wait together until its time is up; later ones do not wait, and none may buy."""
    monkeypatch.setattr(store_check, "WAIT_SECONDS", 0.3)
    store.does = "hangs"
    with checking(store) as check:
        refusals: list[str] = []
        threads = [threading.Thread(target=lambda: refusals.append(check.wait())) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert len(refusals) == 5
        assert all("has not answered" in each for each in refusals)
        assert "has not answered" in check.wait()
        assert store.opened == 1
        store.goes_on.set()
        until(lambda: check.wait() == "")


def test_a_refusal_is_logged_again_after_a_minute(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at each test."""
    store.does = "refuses"
    with capture_logs() as logs, checking(store) as check:
        assert check.wait()
        until(lambda: store.opened > 3)
        assert len(logs) == 1
        monkeypatch.setattr(store_check, "LOG_AGAIN_SECONDS", 0.0)
        until(lambda: len(logs) > 2)
