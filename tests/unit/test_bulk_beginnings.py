"""How a worker begins a run that was asked for: once, though asked twice; and what ends a run that never began."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bide.bulk.record import Options
from bide.bulk.start import open_intake, start
from bide.errors import IdempotencyConflictError, StorageError
from tests.integration.waiting import eventually
from tests.unit.beginnings import SOURCE, Tools


def test_a_message_that_comes_twice_reads_the_rows_once(tools: Tools) -> None:
    """The second one joins, whatever has become of the source."""
    assert tools.begin() == "r"
    tools.delete_source()
    assert tools.begin() == "r"
    assert (tools.run.state, tools.run.number("rows")) == ("running", 3)


def test_what_a_dead_worker_left_is_gone_on_with(tools: Tools) -> None:
    """The rows are the same: the run begins."""
    tools.note_only()
    assert tools.begin() == "r"
    assert tools.run.state == "running"


def test_a_source_that_changed_between_two_intakes_ends_the_run(tools: Tools) -> None:
    """The two may differ, so that nothing is bought, and the list of runs says why."""
    tools.note_only()
    tools.write_source(4)

    assert tools.begin() is None
    assert (tools.run.state, tools.run.over) == ("canceled", True)
    assert tools.run.progress()["note"] == (
        f"{SOURCE} changed after it was first read, before the run had its input; nothing was bought"
    )
    assert tools.begin() == "r"  # doubled messages change nothing
    assert tools.run.state == "canceled"


def test_a_source_that_vanished_between_two_intakes_ends_the_run(tools: Tools) -> None:
    """With what the store says."""
    tools.note_only()
    tools.delete_source()

    assert tools.begin() is None
    assert tools.run.over
    assert "rows.jsonl: NoSuchKey" in tools.run.text("note")


def test_the_note_of_a_run_quotes_no_place_of_its_template(tools: Tools) -> None:
    """Others read the note, and the template may be any object of the bucket."""
    tools.storage.put("rows.csv", b"a\n1\n", content_type="")
    tools.storage.put("template.json", b'{"provider": "{planted-word}"}', content_type="")
    asked = {"run_id": "r", "source": "s3://memory/rows.csv", "options": {"template": "s3://memory/template.json"}}

    assert tools.begin(asked) is None
    assert "no column for place 1 in the first line" in tools.run.text("note")
    assert "planted" not in tools.run.text("note")


@pytest.mark.parametrize("template", ["-", "http://a/b"])
def test_the_note_of_a_run_says_a_rule_in_its_own_words(tools: Tools, template: str) -> None:
    """Without the prefix of the library that applied the rule."""
    assert tools.begin({"run_id": "r", "source": SOURCE, "options": {"template": template}}) is None
    assert tools.run.text("note").startswith("options: template: is ")


def test_a_name_that_is_anothers_is_left_to_it(tools: Tools) -> None:
    """A run that was begun from another file goes on, whatever a message of its name wants."""
    tools.runs.create("r", rows=1, digest="of others", source="a file of theirs", options=Options())

    assert tools.begin() is None
    assert tools.run.state == "starting"


def test_two_at_once_read_the_rows_once(tools: Tools) -> None:
    """Who comes second leaves it to the first, and does not even look at the source."""
    tools.delete_source()
    with tools.runs.intake_lease("r", seconds=60) as alone:
        assert alone
        assert tools.begin() is None
        assert tools.runs.read("r") is None
    tools.write_source(2)
    assert tools.begin() == "r"


def test_an_intake_that_breaks_lets_the_next_one_begin(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the store passes, and leaves no lease: the next message need not wait."""

    def away(**_: object) -> None:
        raise StorageError("s3://memory: no answer")

    with monkeypatch.context() as patch:
        patch.setattr(tools.storage.client, "get_object", away)
        with pytest.raises(StorageError):
            tools.begin()
        assert tools.runs.read("r") is None
    assert tools.begin() == "r"


def test_a_long_intake_is_known_to_live_and_a_dead_one_to_be_dead(tools: Tools) -> None:
    """The lease is renewed for as long as it takes, and has an end by itself."""
    with tools.runs.intake_lease("r", seconds=0.3):
        threading.Event().wait(0.9)
        assert tools.runs.has_intake_lease("r")
        assert 0 < tools.runs.server.pttl("bide:run:r:intake") <= 300
    assert not tools.runs.has_intake_lease("r")

    dead = tools.runs.intake_lease("r", seconds=60)
    assert dead.__enter__()
    tools.runs.server.pexpire("bide:run:r:intake", 1)  # as time does where no process renews it
    eventually(lambda: not tools.runs.has_intake_lease("r"), what="the lease ran out")
    assert tools.begin() == "r"


def test_a_run_that_is_canceled_while_its_input_is_put_in_place_is_not_joined(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that began it gets an error."""
    put = tools.storage.put

    def canceled_meanwhile(*args: Any, **named: Any) -> None:
        put(*args, **named)
        tools.runs.cancel("r")

    monkeypatch.setattr(tools.storage, "put", canceled_meanwhile)
    with (
        open_intake(SOURCE, template=None, storage=tools.storage) as intake,
        pytest.raises(IdempotencyConflictError, match="was ended while its input was put in place: canceled before"),
    ):
        start(tools.runs, tools.storage, intake, run_id="r", source=SOURCE, options=Options())


def test_a_noted_run_of_other_rows_says_how_to_end_it(tools: Tools) -> None:
    """A first attempt was broken off, and the file edited since."""
    tools.runs.create("r", rows=1, digest="of the file before", source="rows.jsonl", options=Options())
    with pytest.raises(IdempotencyConflictError, match="`bide bulk cancel r`"):
        tools.runs.create("r", rows=2, digest="of the file now", source="rows.jsonl", options=Options())
