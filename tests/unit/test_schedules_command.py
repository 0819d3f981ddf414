"""`bide schedules`: what it shows, and what it says where it can't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fakeredis
import pytest
from click.testing import CliRunner

from config.schedules import load
from workers.scheduling.occurrences import Occurrences
from workers.scheduling.show import described, main

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)

FILE = """
[schedules.nightly]
cron = "30 2 * * *"
timezone = "Europe/Berlin"
source = "s3://uploads/rows.jsonl"
catch_up = "once"
options = { max_failures = "5%" }

[schedules.paused]
cron = "0 0 * * *"
source = "rows.jsonl"
enabled = false
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "schedules.toml"
    file.write_text(FILE)
    return file


def test_next_times_cross_the_change_of_the_clocks(file: Path) -> None:
    """Five of them, as the clock on the wall will show them; one that is off has none."""
    nightly, paused = described(load(file), None, now=NOW)

    assert nightly["next"] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
        "2026-03-31T02:30:00+02:00",
        "2026-04-01T02:30:00+02:00",
    ]
    assert (paused["next"], paused["last"], paused["missed"]) == ([], None, [])


def test_last_and_missed_times_are_shown(file: Path) -> None:
    """Each with its run, and the runs that no worker has begun."""
    loaded = load(file)
    with fakeredis.FakeRedis(decode_responses=True) as server:
        occurrences = Occurrences(server)
        occurrences.advance(loaded[0], now=NOW - timedelta(days=3))
        occurrences.advance(loaded[0], now=NOW)
        nightly, paused = described(loaded, occurrences, now=NOW)

    assert nightly["last"] == {"due": "2026-03-27T02:30:00+01:00", "run_id": "nightly-20260327T0130Z"}
    assert [entry["run_id"] for entry in nightly["missed"]] == [None, None, "nightly-20260327T0130Z"]
    assert nightly["missed_count"] == 3
    assert (nightly["waiting"], paused["waiting"]) == (["nightly-20260327T0130Z"], [])


def test_person_reads_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One paragraph for each; without Redis the file is shown, and a message names what is missing."""
    monkeypatch.setenv("BIDE_BROKER_URL", "redis://127.0.0.1:1/0")
    shown = CliRunner().invoke(main, ["--file", str(file)])

    assert shown.exit_code == 0
    assert "nightly  30 2 * * *  Europe/Berlin\n  source  s3://uploads/rows.jsonl  max_failures=5%" in shown.stdout
    assert "paused  0 0 * * *  UTC  (off)" in shown.stdout
    assert shown.stdout.count("02:30") == 5
    assert "last and missed times are not known" in shown.stderr


def test_wrong_file_is_reported(file: Path) -> None:
    """All that is wrong, as beat says it."""
    file.write_text('[schedules.a]\ncron = "x"\n')
    shown = CliRunner().invoke(main, ["--file", str(file)])

    assert shown.exit_code == 1
    assert "2 problems with the configuration" in shown.stderr


def test_command_becomes_the_program(file: Path) -> None:
    """`bide schedules` from the folder of the deployment, as JSON."""
    env = {**os.environ, "BIDE_BROKER_URL": "redis://127.0.0.1:1/0", "BIDE_S3__BUCKET": "results"}
    command = [sys.executable, "-c", "from bide.cli import main; main()", "schedules", "--json", "--file", str(file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    assert [one["name"] for one in json.loads(done.stdout)] == ["nightly", "paused"]
