"""What a run may be read from: a message names objects of open buckets, a local file must be a regular one."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from bide.bulk.sources import MAX_SOURCE_CHARACTERS, opened, template_text
from bide.bulk.start import open_intake
from bide.errors import InvalidRequestError
from bide.settings.sections import BulkSettings
from tests.unit.beginnings import SOURCE, Tools
from tests.unit.bulk_world import row

#: A word that no message may carry out of a file.
PLANTED = "planted-word"

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
def tools(tools: Tools) -> Tools:
    """The toolbox of a worker whose source has a template beside it."""
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
