"""Bulk runs by the command, against a whole deployment: begun, joined, watched, limited, steered, replayed."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bide.bulk.record import Options
from bide.cli.main import main
from tests.integration.bulk import Bulk, bought, quick_rig, rows
from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

#: How long a run may take here [seconds].
LONGEST_SECONDS = 120.0


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One of their own, with a quick provider."""
    with quick_rig(tmp_path_factory.mktemp("bulk")) as rig:
        yield rig


@pytest.fixture
def bulk(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bulk]:
    """Its runs; the command finds the deployment in the environment."""
    monkeypatch.chdir(tmp_path)
    for name, value in rig.environment().items():
        if name.startswith(("BIDE_", "AWS_")):
            monkeypatch.setenv(name, value)
    bulk = Bulk(rig, tmp_path)
    yield bulk
    bulk.close()


def bide(*arguments: str) -> Result:
    """`bide bulk` with these arguments."""
    return CliRunner().invoke(main, ["bulk", *arguments])


def unconfirmed(*arguments: str) -> Result:
    """`bide unconfirmed` with these arguments."""
    return CliRunner().invoke(main, ["unconfirmed", *arguments])


def written(folder: Path, requests: list[dict[str, Any]]) -> str:
    """A JSONL file of requests."""
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return str(file)


def test_a_run_from_its_file_to_its_replay(rig: Rig, bulk: Bulk, tmp_path: Path) -> None:
    """One row of each kind: succeeded, failed, unconfirmed, repeated; the failed one is bought again, and only that."""
    marked = marker()
    rig.sandbox.order(
        [
            {"fault": "fail", "match": f"{marked} 2", "message": "too dark", "times": 1},
            {"fault": "accept_then_drop", "match": f"{marked} 3"},
        ]
    )
    file = written(tmp_path, [*rows(marked, 5), *rows(marked, 1)])

    began = bide("run", file, "--run-id", f"{marked}-run", "--wait")

    assert began.exit_code == 1, began.output  # some rows did not succeed
    summary = bulk.over(f"{marked}-run")
    assert (summary["rows"], summary["succeeded"], summary["failed"], summary["unconfirmed"]) == (6, 4, 1, 1)
    assert summary["codes"] == {"generation_failed": 1, "submission_unknown": 1}
    assert bought(rig, marked) == {f"{marked} {number}": 1 for number in range(1, 6)}
    line = next(line for line in bulk.lines(f"{marked}-run") if line["row"] == 1)
    assert line["outputs"][0]["size"] == len(rig.store.read(line["outputs"][0]["key"])[0])
    assert rig.store.read(f"runs/{marked}-run/index.html")[0]

    assert "joined" in bide("run", file, "--run-id", f"{marked}-run").stderr
    assert json.loads(bide("status", f"{marked}-run", "--json").stdout)["succeeded"] == 4
    assert f"{marked}-run" in bide("list").stdout
    assert len(bide("results", f"{marked}-run", "--state", "failed").stdout.splitlines()) == 1

    ids = {each["reference"]: each["id"] for each in rig.purchases(marked)}
    for row, words in {
        1: ["succeeded", f"bought, as {ids[f'{marked} 1']}", line["outputs"][0]["uri"], "record went when its run"],
        2: ["failed", "generation_failed: too dark", f"`bide bulk replay {marked}-run`"],
        3: ["unconfirmed", "bide unconfirmed"],
        6: ["succeeded", "it repeats row 1"],
    }.items():
        explained = CliRunner().invoke(main, ["explain", f"{marked}-run.{row}"])
        assert explained.exit_code == 0, explained.output
        assert all(each in explained.output for each in words), explained.output
    assert "has no row 7" in CliRunner().invoke(main, ["explain", f"{marked}-run.7"]).output

    replayed = bide("replay", f"{marked}-run", "--wait")
    assert replayed.exit_code == 0, replayed.output
    assert bulk.over(f"{marked}-run-replay")["succeeded"] == 1
    assert bought(rig, marked)[f"{marked} 2"] == 2
    assert bought(rig, marked).total() == 6
    assert "joined" in bide("replay", f"{marked}-run").stderr


def test_a_watched_run_ends_with_its_sheet(
    rig: Rig, bulk: Bulk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row in the singular; its sheet, by a signed address, has what was chosen, the job's id and its price."""
    monkeypatch.setenv("BIDE_PROVIDERS__PHOTOGPT__PRICES", '{"images.generation": 0.02}')
    marked = marker()
    run_id = f"{marked}-run"
    file = written(tmp_path, rows(marked, 1, metadata={"sku": "fox-17", "hidden": "not chosen"}))

    watched = bide("run", file, "--run-id", run_id, "--sheet-metadata", "sku", "--sheet-metadata", "none", "--wait")

    assert watched.exit_code == 0, watched.output
    assert watched.stderr.startswith("began: 1 row, 1 job\n")
    address, signed, advice = watched.stdout.splitlines()[-3:]
    assert address == f"contact sheet: {bulk.storage.uri(f'runs/{run_id}/index.html')}"
    assert signed.startswith("for a browser, good for 24 h: http")
    assert "set BIDE_PAGES__URL" in advice
    with urllib.request.urlopen(signed.split()[-1]) as opened:
        page = opened.read().decode()
    assert all(words in page for words in (f">{run_id}.1</span> · 0.02", "<i>sku</i> fox-17"))
    assert "not chosen" not in page
    [line] = bulk.lines(run_id)
    [purchase] = rig.purchases(marked)
    assert (line["provider_job_id"], line["spent"]) == (str(purchase["id"]), 0.02)

    monkeypatch.setenv("BIDE_PAGES__URL", "https://bide.example.com/")
    assert (
        f"contact sheet: https://bide.example.com/objects/runs/{run_id}/index.html\n" in bide("results", run_id).stderr
    )
    assert "1 row, 1 job\n" in bide("run", file, "--dry-run").stdout


def test_an_unconfirmed_row_that_ends_later_reaches_the_results(rig: Rig, bulk: Bulk, tmp_path: Path) -> None:
    """An operator attaches one and gives up another; a third stands. Each row keeps one line, and none is replayed."""
    marked = marker()
    run_id = f"{marked}-run"
    rig.sandbox.order([{"fault": "accept_then_drop", "match": f"{marked} {row}"} for row in (1, 2, 3)])
    bide("run", written(tmp_path, [*rows(marked, 4), *rows(marked, 1)]), "--run-id", run_id, "--wait")
    assert bulk.over(run_id)["unconfirmed"] == 4  # row 5 repeats row 1
    assert "4 rows are unconfirmed" in bide("results", run_id).stderr
    accepted = next(each["id"] for each in rig.purchases(marked) if each["reference"] == f"{marked} 1")

    assert unconfirmed("attach", f"{run_id}.1", str(accepted)).exit_code == 0
    assert unconfirmed("give-up", f"{run_id}.2").exit_code == 0
    eventually(lambda: rig.state(f"{run_id}.1") == "succeeded", what="it is brought home")
    refreshed = bide("refresh", run_id)

    assert refreshed.output == "no longer unconfirmed: 1 failed, 2 succeeded\n"
    assert bide("refresh", run_id).output == "nothing was settled since\n"
    summary = bulk.summary(run_id)
    assert (summary["succeeded"], summary["failed"], summary["unconfirmed"]) == (3, 1, 1)
    assert summary["codes"] == {"submission_unknown": 2}
    lines = {line["row"]: line for line in bulk.lines(run_id)}
    assert sorted(lines) == [1, 2, 3, 4, 5]
    assert lines[5] == {**lines[1], "row": 5, "copy_of": 1}
    assert rig.store.read(lines[1]["outputs"][0]["key"])[0]
    assert bulk.run(run_id).ended["unconfirmed"] == 1
    assert bulk.server.ttl(f"bide:run:{run_id}:record") > 0
    assert 'id="row-1" data-state="succeeded"' in rig.store.read(f"runs/{run_id}/index.html")[0].decode()
    assert "has no failed rows" in bide("replay", run_id).output
    assert set(bought(rig, marked).values()) == {1}


def test_another_file_under_the_same_name_is_refused(bulk: Bulk, tmp_path: Path) -> None:
    """The message says what to do; nothing is bought."""
    marked = marker()
    assert bide("run", written(tmp_path, rows(marked, 2)), "--run-id", f"{marked}-two").exit_code == 0
    refused = bide("run", written(tmp_path, rows(marked, 3)), "--run-id", f"{marked}-two")

    assert refused.exit_code == 1
    assert "of another file; take another --run-id" in refused.stderr
    assert bulk.over(f"{marked}-two", within_seconds=LONGEST_SECONDS)["rows"] == 2


def test_a_broken_row_stops_all_of_it(rig: Rig, bulk: Bulk, tmp_path: Path) -> None:
    """Told with its line; no run is there, nothing is bought, in a dry run as in a real one."""
    marked = marker()
    file = tmp_path / "broken.jsonl"
    file.write_text(json.dumps(image(f"{marked} 1")) + "\n{broken\n" + json.dumps(image(f"{marked} 2")) + "\n")

    for options in ([], ["--dry-run"]):
        refused = bide("run", str(file), "--run-id", f"{marked}-broken", *options)
        assert refused.exit_code == 1
        assert "line 2: line: is not JSON" in refused.stderr
    assert bulk.runs.read(f"{marked}-broken") is None
    assert not rig.purchases(marked)


def test_a_csv_with_a_template_is_run(bulk: Bulk, tmp_path: Path) -> None:
    """Columns go where their places are, and the metadata comes back with the results."""
    marked = marker()
    (tmp_path / "rows.csv").write_bytes(f"\ufeffsku,animal\r\n1,{marked} fox\r\n2,{marked} owl\r\n".encode())
    template = image("{animal}", metadata={"sku": "{sku}"})
    (tmp_path / "request.json").write_text(json.dumps(template))

    began = bide("run", str(tmp_path / "rows.csv"), "--template", str(tmp_path / "request.json"), "--wait")

    assert began.exit_code == 0, began.output
    run_id = began.stdout.splitlines()[0]
    prompts = {line["request"]["metadata"]["sku"]: line["request"]["params"]["prompt"] for line in bulk.lines(run_id)}
    assert prompts == {"1": f"{marked} fox", "2": f"{marked} owl"}


def test_a_paused_run_is_resumed_and_a_canceled_one_ends(rig: Rig, bulk: Bulk) -> None:
    """Pause: nothing more is bought. Cancel: what is bought comes home, the rest is canceled."""
    marked = marker()
    run_id = f"{marked}-steered"
    bulk.begin(run_id, rows(marked, 40, account="small"))
    eventually(lambda: rig.purchases(marked), what="it has begun")

    assert bide("pause", run_id).exit_code == 0
    eventually(
        lambda: bulk.run(run_id).state == "paused" and not bulk.run(run_id).number("in_flight"), what="it comes to rest"
    )
    bought_by_then = len(rig.purchases(marked))
    assert bought_by_then < 40
    assert bide("pause", run_id).exit_code == 1
    assert len(rig.purchases(marked)) == bought_by_then

    assert bide("resume", run_id).exit_code == 0
    eventually(lambda: len(rig.purchases(marked)) > bought_by_then, what="it goes on")
    assert bide("cancel", run_id).exit_code == 0

    summary = bulk.over(run_id, within_seconds=LONGEST_SECONDS)
    assert summary["state"] == "canceled"
    assert summary["succeeded"] == len(rig.purchases(marked))
    assert summary["canceled"] == 40 - summary["succeeded"]


def test_a_budget_holds_for_all_workers(rig: Rig, bulk: Bulk) -> None:
    """Two workers, one budget: what it covers is bought, and not one more."""
    marked = marker()
    second = rig.process("worker", ready=r"worker-\d+@\S+ ready")
    second.start()
    try:
        prices = {"photogpt images.generation": 20_000}
        bulk.begin(
            f"{marked}-budget",
            rows(marked, 30),
            Options(window=30, budget=150_000, budget_currency="USD", prices=prices),
        )
        eventually(lambda: bulk.run(f"{marked}-budget").state == "paused", what="it pauses itself")
    finally:
        second.kill()

    assert len(rig.purchases(marked)) == 7
    assert bulk.run(f"{marked}-budget").progress()["spent"] == 0.14
    assert "budget of 0.15 USD" in bulk.run(f"{marked}-budget").text("note")
    assert bulk.runs.cancel(f"{marked}-budget")
    bulk.feed(f"{marked}-budget")
    assert bulk.over(f"{marked}-budget", within_seconds=LONGEST_SECONDS)["succeeded"] == 7


@pytest.mark.whole
def test_a_small_run_is_not_starved_by_a_large_one(rig: Rig, bulk: Bulk) -> None:
    """They share their account by turns: four rows do not wait for the forty that came before them."""
    marked = marker()
    bulk.begin(f"{marked}-large", rows(f"{marked} large", 40, account="small"))
    eventually(lambda: len(rig.purchases(f"{marked} large")) >= 2, what="the large one has begun")
    bulk.begin(f"{marked}-little", rows(f"{marked} little", 4, account="small"))

    bulk.over(f"{marked}-little", within_seconds=LONGEST_SECONDS)
    order = [purchase["reference"] for purchase in rig.purchases(marked)]
    first, *_, last = (at for at, prompt in enumerate(order) if "little" in prompt)
    assert last - first < 12, "they take turns"
    bulk.over(f"{marked}-large", within_seconds=LONGEST_SECONDS)


def test_an_interactive_job_goes_ahead_of_a_run(rig: Rig, bulk: Bulk) -> None:
    """Hundreds of rows wait; a job that is sent meanwhile passes nearly all of them."""
    marked = marker()
    bulk.begin(f"{marked}-wide", rows(f"{marked} row", 300), Options(window=500))
    eventually(lambda: len(rig.purchases(f"{marked} row")) >= 20, what="the run has begun")

    with Caller(rig.redis.url) as caller:
        sent, rows_before = time.time(), len(rig.purchases(f"{marked} row"))
        job = caller.submit(image(f"{marked} interactive"))
        [purchase] = eventually(lambda: rig.purchases(f"{marked} interactive"), what="it is bought")
        rows_by_then = len([one for one in rig.purchases(f"{marked} row") if one["time"] < purchase["time"]])
        succeeded(job)

    print(f"started after {purchase['time'] - sent:.2f} s")  # noqa: T201 - a figure for the reader of the output
    assert rows_by_then - rows_before < 100
    assert bulk.over(f"{marked}-wide", within_seconds=LONGEST_SECONDS)["succeeded"] == 300


def test_a_schedules_message_begins_a_run(rig: Rig, bulk: Bulk) -> None:
    """From a source in object storage; a source that can't be read is named in the list of runs."""
    marked = marker()
    content = "".join(json.dumps(request) + "\n" for request in rows(marked, 3)).encode()
    bulk.storage.put(f"uploads/{marked}.jsonl", content, content_type="application/x-ndjson")
    with Caller(rig.redis.url) as caller:
        sources = {f"{marked}-s": f"s3://results/uploads/{marked}.jsonl", f"{marked}-bad": "nowhere.jsonl"}
        for run_id, source in sources.items():
            run = {"run_id": run_id, "source": source, "options": {"max_failures": "5%", "window": 10}}
            caller.app.send_task("bide.bulk", kwargs={"run": run}, queue="bide.control")

        eventually(lambda: bulk.runs.read(f"{marked}-s"), what="the run has begun")
        assert bulk.over(f"{marked}-s", within_seconds=LONGEST_SECONDS)["succeeded"] == 3
        refused = eventually(lambda: bulk.runs.read(f"{marked}-bad"), what="the refusal is noted")
    eventually(lambda: bulk.run(f"{marked}-bad").over, what="it is over")
    assert refused.run_id == f"{marked}-bad"
    assert "can't be read" in bulk.run(f"{marked}-bad").text("note")
