"""A run whose id is of a schedule: the worker's own file decides whether its message begins it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bide.settings.problems import ConfigurationProblems
from config.schedules import load
from tests.unit.beginnings import SOURCE, Tools
from tests.unit.bulk_world import row

CRON = "30 2 * * *"

#: A time at which the schedule is due.
DUE = "20261130T0230Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a worker has files of its own: rows, and a CSV with its template."""
    (tmp_path / "rows.jsonl").write_text(json.dumps(row("fox")) + "\n")
    (tmp_path / "rows.csv").write_text("animal\nfox\n")
    (tmp_path / "template.json").write_text(json.dumps(row("{animal}")))
    return tmp_path


def schedules(folder: Path, **fields: Any) -> Path:
    """The worker's own file, with one schedule in it."""
    table = {"cron": CRON, "source": str(folder / "rows.csv"), **fields}
    lines = [f"{name} = {json.dumps(value)}" for name, value in table.items() if name != "options"]
    options = table.get("options", {"template": str(folder / "template.json"), "window": 5})
    lines += ["[schedules.nightly.options]", *(f"{name} = {json.dumps(value)}" for name, value in options.items())]
    file = folder / "schedules.toml"
    file.write_text("\n".join(["[schedules.nightly]", *lines]))
    return file


def scheduled(folder: Path, **changes: Any) -> dict[str, Any]:
    """What beat sends for that schedule, with some of it changed."""
    options = {"template": str(folder / "template.json"), "window": 5}
    return {"run_id": f"nightly-{DUE}", "source": str(folder / "rows.csv"), "options": options, **changes}


def test_a_schedule_of_this_worker_may_name_local_files(tools: Tools, folder: Path) -> None:
    """The operator wrote its source and its template down."""
    assert tools.begin(scheduled(folder), schedules(folder)) == f"nightly-{DUE}"


@pytest.mark.parametrize("source", ["s3://elsewhere/rows.jsonl", "s3://elsewhere/../memory/rows.jsonl"])
def test_a_schedule_of_this_worker_may_name_any_bucket(tools: Tools, folder: Path, source: str) -> None:
    """A schedule of the file is not limited to the buckets that messages may name."""
    message = scheduled(folder, source=source, options={})
    file = schedules(folder, source=source, options={})
    tools.storage.client.objects["../memory/rows.jsonl"] = (folder / "rows.jsonl").read_bytes()  # type: ignore[attr-defined]  # the double's own

    assert tools.begin(message, file) == f"nightly-{DUE}"


@pytest.mark.parametrize(
    "changes",
    [
        lambda folder: {"source": str(folder / "rows.jsonl")},
        lambda folder: {"source": f"{folder}/./rows.csv"},
        lambda _: {"source": "rows.csv"},
        lambda folder: {"options": {"template": str(folder / "rows.jsonl"), "window": 5}},
        lambda folder: {"options": {"template": str(folder / "template.json"), "window": 6}},
        lambda _: {"options": {"window": 5}},
        lambda folder: {"options": {"template": str(folder / "template.json"), "window": 5, "budget": 9}},
        lambda _: {"run_id": "mine"},
        lambda _: {"run_id": "nightly"},
        lambda _: {"run_id": "nightly-20261130T0231Z"},
        lambda _: {"run_id": "nightly-20261130T0230z"},
        lambda _: {"run_id": "nightly-2026113T0230Z"},
        lambda _: {"run_id": "nightly-99991231T0230Z-"},
        lambda _: {"run_id": f"weekly-{DUE}"},
    ],
)
def test_a_message_that_only_looks_like_a_schedules_is_refused(
    tools: Tools, folder: Path, changes: Callable[[Path], dict[str, Any]]
) -> None:
    """Source, options and due time are those of the schedule, or the file stays shut.

    A run is listed as refused under a name of the sender's own only: the schedule's names stay free for its runs.
    """
    message = scheduled(folder, **changes(folder))

    assert tools.begin(message, schedules(folder)) is None
    known = tools.runs.read(message["run_id"])
    if re.fullmatch(r"nightly-\d{8}T\d{4}Z", message["run_id"]):
        assert known is None
        assert tools.begin(scheduled(folder), schedules(folder)) == f"nightly-{DUE}"
    else:
        assert known is not None
        assert known.state == "canceled"


def begins(tools: Tools, folder: Path, now: str, **fields: Any) -> bool:
    """Whether the message of the schedule begins its run at that time; no record is left where it does not."""
    begun = tools.begin(scheduled(folder), schedules(folder, **fields), now=datetime.fromisoformat(f"{now}+00:00"))
    assert (tools.runs.read(f"nightly-{DUE}") is None) is (begun is None)
    return begun is not None


@pytest.mark.parametrize(
    ("catch_up", "now", "begun"),
    [
        ("skip", "1999-01-01T00:00", False),
        ("all", "2026-11-29T23:00", False),
        ("skip", "2026-11-30T02:28:59", False),
        ("skip", "2026-11-30T02:29:30", True),
        ("skip", "2026-12-01T02:32", True),
        ("skip", "2026-12-01T02:34", False),
        ("once", "2026-12-20T00:00", True),
        ("all", "2027-01-01T02:30", True),
        ("all", "2027-01-01T02:32", False),
        ("all", "2040-01-01T00:00", False),
    ],
)
def test_a_schedules_message_counts_while_beat_may_send_it(
    tools: Tools, folder: Path, catch_up: str, now: str, *, begun: bool
) -> None:
    """From a minute before its time, for clocks that differ, until beat gives it up."""
    assert begins(tools, folder, now, catch_up=catch_up) is begun


def test_a_schedule_that_is_off_begins_no_run(tools: Tools, folder: Path) -> None:
    """Not by a message either."""
    assert not begins(tools, folder, "2026-11-30T02:31", enabled=False)
    assert begins(tools, folder, "2026-11-30T02:31", enabled=True)


@pytest.mark.parametrize("source", ["x", "s3://memory/rows.jsonl", "s3://memory/none.jsonl", "s3://others/rows.jsonl"])
@pytest.mark.parametrize("options", [{}, {"windows": 1}, [1]])
def test_a_message_before_the_time_does_not_use_up_the_run(
    tools: Tools, folder: Path, source: str, options: Any
) -> None:
    """Whatever it names: the message of beat, when the time has come, begins the run with the schedule's own rows."""
    early = datetime.fromisoformat("2026-11-29T12:00+00:00")
    forged = scheduled(folder, source=source, options=options)
    assert tools.begin(forged, schedules(folder), now=early) is None
    assert tools.begin(scheduled(folder), schedules(folder), now=early) is None
    assert tools.runs.all() == []

    assert tools.begin(scheduled(folder), schedules(folder)) == f"nightly-{DUE}"
    known = tools.runs.read(f"nightly-{DUE}")
    assert known is not None
    assert (known.state, known.text("source")) == ("running", str(folder / "rows.csv"))


def test_a_schedule_whose_source_is_missing_is_recorded(tools: Tools, folder: Path) -> None:
    """The schedule's own message is refused with a record, so that beat does not send it again."""
    (folder / "rows.csv").unlink()
    assert tools.begin(scheduled(folder), schedules(folder)) is None
    known = tools.runs.read(f"nightly-{DUE}")
    assert known is not None
    assert known.state == "canceled"


def test_a_run_that_has_begun_is_joined_late_too(tools: Tools, folder: Path) -> None:
    """A doubled message of beat's finds its run, whenever it arrives."""
    assert begins(tools, folder, "2026-11-30T02:31")
    assert begins(tools, folder, "2027-06-01T00:00")


def test_a_file_of_schedules_that_is_wrong_opens_nothing(tools: Tools, folder: Path) -> None:
    """Nor does one that is not there."""
    file = schedules(folder)
    file.write_text(file.read_text() + "\nx = 1\n")
    assert tools.begin(scheduled(folder), file) is None
    assert tools.begin(scheduled(folder, run_id="nightly-20261129T0230Z"), folder / "none.toml") is None
    assert tools.begin({"run_id": f"nightly-{DUE}", "source": SOURCE}, file) is None
    assert tools.runs.all() == []  # it may have a schedule of that name
    assert tools.begin(schedules=file) == "r"


@pytest.mark.parametrize("place", ["source", "template"])
def test_a_schedule_reads_no_standard_input(folder: Path, place: str) -> None:
    """A worker has no standard input that a person types into."""
    file = schedules(folder, **({"source": "-"} if place == "source" else {"options": {"template": "-"}}))

    with pytest.raises(ConfigurationProblems, match="is standard input"):
        load(file)
