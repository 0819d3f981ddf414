"""Results that mean harm, in a whole deployment: none is stored, none costs the worker memory, each job says why."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.background import repeated
from tests.faults.counting import check_nothing_left
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

#: How much a worker may grow over all of these [bytes].
GROWTH_BYTES = 60_000_000

#: What each of them is refused for.
RESULTS = {
    "html": "HTML",
    "playlist": "playlist",
    "gzip_bomb": "packed",
    "pixel_bomb": "100000 x 100000",
    "empty": "nothing",
    "cut": "ends early",
}


@contextmanager
def inside() -> Iterator[tuple[int, list[str]]]:
    """A listener that must not be reached: its port, and its connections."""
    came: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)

        def listen() -> None:
            with suppress(TimeoutError):
                connection, address = server.accept()
                came.append(str(address))
                connection.close()

        with repeated(listen):
            yield server.getsockname()[1], came


def stored(rig: Rig, job_id: str) -> list[str]:
    """What stands in the bucket for a job."""
    return [key for key in rig.store.names() if job_id in key]


def test_no_harmful_result_is_stored(caller: Caller, rig: Rig) -> None:
    """Pages, playlists, bombs: `bad_media` with the reason, nothing is stored, and the worker stays small."""
    succeeded(caller.submit(image(marker())))  # it has grown to its usual size
    before_bytes = rig.worker.peak_bytes
    marked = {fault: marker() for fault in RESULTS}

    results = {fault: caller.submit(image(f"{word} [fault:{fault}]")) for fault, word in marked.items()}

    for fault, result in results.items():
        refusal = failure(result)
        assert refusal["code"] == "bad_media", fault
        assert RESULTS[fault] in refusal["message"], refusal["message"]
        assert stored(rig, str(result.id)) == []
        assert len(rig.purchases(marked[fault])) == 1
    assert rig.worker.peak_bytes - before_bytes < GROWTH_BYTES
    assert rig.worker.alive


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"])
def test_no_redirect_reaches_inside(host: str, caller: Caller, rig: Rig) -> None:
    """A provider's file leads to a port of this machine: nobody comes there, and the job says why."""
    marked = marker()
    with inside() as (port, came):
        rig.sandbox.order([{"fault": "redirect_to", "match": marked, "url": f"http://{host}:{port}/latest"}])
        result = caller.submit(image(marked))

        refusal = failure(result)

        assert came == []
    assert refusal["code"] == "bad_media"
    assert "not a public address" in refusal["message"]
    assert stored(rig, str(result.id)) == []


def test_what_never_ends_holds_nobody_up(caller: Caller, rig: Rig) -> None:
    """While one result trickles in, others are brought home; and it can be canceled under way."""
    marked = marker()
    endless = caller.submit(image(f"{marked} [fault:slow_body operation=media bytes_per_second=200]"))
    eventually(lambda: rig.state(str(endless.id)) == "storing", what="it is being fetched")

    outcomes = [succeeded(caller.submit(image(f"{marker()} {number}"))) for number in range(3)]

    assert all(len(stored(rig, one["job_id"])) == 2 for one in outcomes)
    caller.app.control.revoke(str(endless.id))
    assert failure(endless)["code"] == "canceled"
    check_nothing_left(rig, marked)
