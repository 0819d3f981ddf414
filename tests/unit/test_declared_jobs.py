"""Jobs of a provider in a file, from submit to storing: the machinery takes it as any adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.contract import FailureCode
from bide.providers import installed
from bide.providers.declared.files import read
from tests.unit.atelier import ACCEPTED, BASE, CANCEL, RESULT, STATUS, Atelier

FILE = f"""\
[provider]
name = "atelier"
base_url = "{BASE}"
hosts = ["jobs.atelier.example"]
version = "4"

[auth]
headers = {{ Authorization = "Bearer {{api_key}}" }}

[operations.paint]
params.motif = {{ type = "string", required = true }}

[operations.paint.submit]
path = "/works"
json = "{{params}}"

[operations.paint.accepted]
id = "$.id"
handle = {{ status = "$.status_url", cancel = "$.cancel_url" }}

[operations.paint.poll]
url = "{{handle.status}}"
path = "/works/{{id}}"

[operations.paint.state]
at = "$.state"
done = ["ready"]
fraction = "$.fraction"
cause = {{ moderated = ["blocked"] }}
failed = ["blocked"]

[operations.paint.result]
url = "{RESULT}"
media = "$.pictures"

[operations.paint.cancel]
method = "PUT"
url = "{{handle.cancel}}"
stopped = [200]
too_late = [409]
"""


@pytest.fixture
def atelier(tmp_path: Path) -> Iterator[Atelier]:
    """A deployment in memory with that file."""
    file = tmp_path / "atelier.toml"
    file.write_text(FILE, encoding="utf-8")
    installed()["atelier"] = read([file])["atelier"]()
    world = Atelier()
    world.reply("POST", f"{BASE}/works", ACCEPTED)
    try:
        yield world
    finally:
        world.event_loop.stop()
        del installed()["atelier"]


def test_a_result_behind_a_second_request(atelier: Atelier) -> None:
    """Bought once; polled at the address of the answer; fetched in the same round; with what it was bought with."""
    atelier.reply("GET", STATUS, {"state": "painting", "fraction": 0.5})
    atelier.reply("GET", STATUS, {"state": "ready"})
    atelier.reply("GET", RESULT, {"pictures": ["https://cdn.example/7.png"]})
    atelier.submit()
    atelier.poll()
    record = atelier.record()
    assert (record.text("state"), str(record.progress), record.text("adapter")) == ("running", "50% done", "atelier 4")
    atelier.poll()
    assert [output.url for output in atelier.record().outputs] == ["https://cdn.example/7.png"]
    assert atelier.calls == [("POST", f"{BASE}/works"), ("GET", STATUS), ("GET", STATUS), ("GET", RESULT)]


def test_moderation_ends_it_as_such(atelier: Atelier) -> None:
    """By the cause that the file lists."""
    atelier.reply("GET", STATUS, {"state": "blocked"})
    atelier.submit()
    atelier.poll()
    assert atelier.record().failure.code is FailureCode.MODERATED


def test_a_cancel_reaches_the_provider(atelier: Atelier) -> None:
    """By its call, and its code is believed."""
    atelier.reply("GET", STATUS, {"state": "painting"})
    atelier.reply("PUT", CANCEL, {})
    atelier.submit()
    assert atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    assert atelier.record().text("state") == "canceled"
    assert ("PUT", CANCEL) in atelier.calls


def test_the_key_goes_to_the_file_s_hosts_alone(atelier: Atelier) -> None:
    """An address of the answer elsewhere is not called."""
    atelier.replies.clear()
    atelier.reply("POST", f"{BASE}/works", {"id": "7", "status_url": "https://evil.example/7"})
    atelier.submit()
    atelier.poll()
    assert atelier.record().failure.code is FailureCode.PROTOCOL
    assert len(atelier.calls) == 1
