"""What a run may be read from: a message names objects of open buckets, a local file must be a regular one."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from bide.bulk.runs import Runs
from bide.bulk.sources import MAX_SOURCE_CHARACTERS, opened, template_text
from bide.bulk.start import open_intake
from bide.errors import InvalidRequestError
from bide.settings.problems import ConfigurationProblems
from bide.settings.sections import BulkSettings
from config.schedules import load
from tests.unit.beginnings import SOURCE, Tools
from tests.unit.bulk_world import row

#: A word that no message may carry out of a file.
PLANTED = "planted-word"

CRON = "30 2 * * *"

#: A time at which the schedule is due.
DUE = "20261130T0230Z"

ELSEWHERE = [
    "rows.jsonl",
    "./rows.jsonl",
    "../rows.jsonl",
    "link.jsonl",
    "~/rows.jsonl",
    "-",
    "/dev/stdin",
    "/dev/ptmx",
    "/dev/zero",
    "/dev/fd/0",
    "/proc/self/environ",
    "/proc/self/fd/0",
    "/sys/kernel/uevent_seqnum",
    "file:rows.jsonl",
    "file:///etc/passwd",
    "http://127.0.0.1/rows.jsonl",
    "s3:rows.jsonl",
    "s3:/memory/rows.jsonl",
    "S3://memory/rows.jsonl",
    " s3://memory/rows.jsonl",
    "s3://other/rows.jsonl",
    "s3://MEMORY/rows.jsonl",
    "s3://memory/../other/rows.jsonl",
    "s3://memory/./rows.jsonl",
    "s3://memory",
    "s3://memory/",
    "s3:///rows.jsonl",
    "s3://memory@other/rows.jsonl",
    "rows\0.jsonl",
]


@pytest.fixture
def tools() -> Tools:
    """Of a worker whose source holds three rows, with a template beside it."""
    tools = Tools(Runs(fakeredis.FakeRedis(decode_responses=True, version=(7,))))
    tools.write_source(3)
    tools.storage.put("template.json", json.dumps(row("{animal}")).encode(), content_type="")
    return tools


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a worker runs: rows, a CSV with its template, a link, and a folder whose name looks like an address."""
    (tmp_path / "rows.jsonl").write_text(json.dumps(row(PLANTED)) + "\n")
    (tmp_path / "rows.csv").write_text("animal\nfox\n")
    (tmp_path / "template.json").write_text(json.dumps(row("{animal}")))
    (tmp_path / "link.jsonl").symlink_to("rows.jsonl")
    (tmp_path / "s3:" / "memory").mkdir(parents=True)
    (tmp_path / "s3:" / "memory" / "rows.jsonl").symlink_to(tmp_path / "rows.jsonl")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(source: str = SOURCE, run_id: str = "r", **options: Any) -> dict[str, Any]:
    """A message."""
    return {"run_id": run_id, "source": source, "options": options}


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


# Messages


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("source", ELSEWHERE)
def test_a_message_names_no_source_but_an_object_of_the_deployment(tools: Tools, source: str) -> None:
    """The run is refused, with a reason that a person can act on; no file is opened for it."""
    assert tools.begin(asked(source)) is None

    assert tools.run.state == "canceled"
    remedies = ("s3://bucket/key", "BIDE_BULK__SOURCE_BUCKETS", "rename the object")
    assert any(remedy in tools.run.text("note") for remedy in remedies)
    assert PLANTED not in json.dumps(tools.run.progress())


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("template", ELSEWHERE)
def test_a_message_names_no_template_but_an_object_of_the_deployment(tools: Tools, template: str) -> None:
    """A template is read like a source."""
    assert tools.begin(asked(template=template)) is None

    assert tools.run.state == "canceled"
    assert tools.run.text("note").startswith(("template: ", "options: template: ", "not an address"))


def test_a_message_waits_for_no_pipe(tools: Tools, tmp_path: Path) -> None:
    """A pipe that has a writer and no end would keep a thread for good: none reads it."""
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)

    assert tools.begin(asked(str(pipe))) is None
    with pytest.raises(OSError, match="No such device or address"):  # so says the kernel where there is no reader
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)


def test_buckets_that_a_setting_names_are_open_to_messages(tools: Tools) -> None:
    """Those and the deployment's own."""
    tools.settings.bulk = BulkSettings.model_validate({"source_buckets": '["uploads"]'})

    assert tools.begin(asked("s3://uploads/rows.jsonl", "one")) == "one"
    assert tools.begin(asked("s3://memory/rows.jsonl", "two")) == "two"
    assert tools.begin(asked("s3://others/rows.jsonl", "three")) is None


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"source": SOURCE},
        {"run_id": "r"},
        {"run_id": None, "source": SOURCE},
        {"run_id": ["r"], "source": SOURCE},
        {"run_id": "r.1", "source": SOURCE},
        {"run_id": "r" * 600_000, "source": SOURCE},
        {"run_id": "r", "source": None},
        {"run_id": "r", "source": {"s3": "memory"}},
        {"run_id": "r", "source": ""},
        {"run_id": "r", "source": "s3://memory/" + "k" * MAX_SOURCE_CHARACTERS},
        {"run_id": "r", "source": "s3://memory/\ud800"},
        {"run_id": "r", "source": SOURCE, "option": {"budget": 1}},
    ],
)
def test_what_names_no_run_is_refused(tools: Tools, message: dict[str, Any]) -> None:
    """In few words, and without a trace in the list of runs."""
    with pytest.raises(InvalidRequestError) as refused:
        tools.begin(message)

    assert len(str(refused.value)) < 200
    assert tools.runs.all() == []


@pytest.mark.parametrize(
    "options",
    [
        [1],
        "template",
        7,
        {"windows": 5},
        {"window": []},
        {"window": "many"},
        {"window": 0},
        {"max_jobs": "7"},
        {"max_jobs": True},
        {"max_jobs": 10**400},
        {"max_failures": {}},
        {"max_failures": "9" * 5000},
        {"budget": "much"},
        {"budget": float("inf")},
        {"budget": 10**400},
        {"template": 5},
        {"template": ["s3://memory/template.json"]},
        {"x" * 600_000: 1},
    ],
    ids=lambda options: str(options)[:30],
)
def test_options_of_another_shape_end_the_run(tools: Tools, options: Any) -> None:
    """Its note says which one is wrong."""
    assert tools.begin({"run_id": "r", "source": SOURCE, "options": options}) is None

    assert tools.run.state == "canceled"
    assert tools.run.text("note").startswith(("options", "max failures: ", "budget: "))
    assert len(tools.run.text("note")) <= 2000


def test_every_option_reaches_the_run(tools: Tools) -> None:
    """None that a schedule may set is lost on the way."""
    assert tools.begin(asked(window=5, max_jobs=2, max_failures="5%")) == "r"

    options = tools.run.options
    assert (options.window, options.max_jobs, str(options.max_failures), options.budget) == (5, 2, "5%", None)


# Schedules


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
    """Source, options and due time are those of the schedule, or the file stays shut."""
    message = scheduled(folder, **changes(folder))

    assert tools.begin(message, schedules(folder)) is None
    known = tools.runs.read(message["run_id"])
    assert known is not None
    assert known.state == "canceled"


def test_a_file_of_schedules_that_is_wrong_opens_nothing(tools: Tools, folder: Path) -> None:
    """Nor does one that is not there."""
    file = schedules(folder)
    file.write_text(file.read_text() + "\nx = 1\n")
    assert tools.begin(scheduled(folder), file) is None
    assert tools.begin(scheduled(folder, run_id="nightly-20261129T0230Z"), folder / "none.toml") is None


@pytest.mark.parametrize("place", ["source", "template"])
def test_a_schedule_reads_no_standard_input(folder: Path, place: str) -> None:
    """A worker has no standard input that a person types into."""
    file = schedules(folder, **({"source": "-"} if place == "source" else {"options": {"template": "-"}}))

    with pytest.raises(ConfigurationProblems, match="is standard input"):
        load(file)


# Local files


def is_refused(path: str, reason: str) -> None:
    """As source, and as template."""
    with pytest.raises(InvalidRequestError, match=reason), opened(path, None):
        raise AssertionError("it was opened")
    with pytest.raises(InvalidRequestError, match=reason):
        template_text(path, None)


@pytest.mark.parametrize("path", ["/dev/ptmx", "/dev/zero", "/dev/null", "/dev/tty", "/"])
def test_only_regular_files_are_read(path: str) -> None:
    """A device may have no end, or wait for one; a process without a terminal has no /dev/tty at all."""
    is_refused(path, "is not a regular file|can't be read")


def test_pipes_sockets_folders_and_links_to_them_are_no_files(tmp_path: Path) -> None:
    """Opening them does not wait."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    for name in ("pipe", "link", "socket", "."):
        is_refused(str(tmp_path / name), "is not a regular file; pass -|can't be read")


def test_a_path_that_none_can_be_is_refused() -> None:
    """Python says so by another kind of error."""
    is_refused("rows\0.jsonl", "is no path")
    is_refused("rows\ud800.jsonl", "is no path")
    is_refused("", "can't be read")


def test_a_regular_file_and_a_link_to_it_are_read(folder: Path) -> None:
    """Volumes of containers are links."""
    for name in ("rows.jsonl", "link.jsonl"):
        with open_intake(str(folder / name), template=None, storage=None) as intake:
            assert intake.rows == 1
