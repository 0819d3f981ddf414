"""Which objects the pages sign, what they pass on, and what a contact sheet may do there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from importlib.resources import files

import pytest

from bide.bulk.record import Options
from tests.unit.pages_world import ANNA, OPTIONS, World, output_of
from workers.pages.runs import sheet_policy
from workers.pages.thumbnails import Thumbnails

KEY = "tenant-a/2026/11/22/a/0.png"


@pytest.fixture(name="world")
def _world() -> World:
    """A job with an object, a run that goes on, and a run that is forgotten and has left its summary."""
    world = World(ANNA)
    world.finished("a", KEY)
    world.runs.create("run-1", rows=3, digest="d", source="rows.jsonl", options=Options())
    world.storage.put("runs/old/summary.json", b"{}", content_type="application/json")
    world.storage.put("runs/old/index.html", b"<p>the sheet</p>", content_type="text/html")
    return world


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        "tenant-a/2026/11/22/a/job.json",
        "2026/11/22/run-1.2/0.png",
        "2026/11/22/old.17/3.webp",
        "some/prefix/2026/11/22/old.17/job.json",
        "runs/old/summary.json",
        "runs/run-1/results-00001.jsonl",
    ],
)
def test_objects_of_this_deployment_are_signed(world: World, key: str) -> None:
    """The address goes out as it was signed, to be followed at once and kept nowhere."""
    answer = world.ask(f"/objects/{key}")
    assert answer.status == 302
    assert answer.headers["Location"] == f"https://store.example/memory/{key}?X-Amz-Expires=600&X-Amz-Signature=5%2F6"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "key",
    [
        "tenant-a/2026/11/22/a/1.png",
        "tenant-b/2026/11/22/a/0.png",
        "tenant-b/2026/11/22/a/job.json",
        "tenant-a/2026/11/22/a/inputs/person.png",
        "2026/11/22/b/0.png",
        "2026/11/22/run-2.1/0.png",
        "2026/11/22/run-1.x/0.png",
        "2026/11/22/run-1.1/secret.env",
        "2026/11/22/run-1.1/../../../../secret",
        "2026/11/22/0.png",
        "secret.env",
        "uploads/abc.png",
        "bide-doctor/x",
        "runs/run-1/input.jsonl",
        "runs/run-1/copies.json",
        "runs/run-2/summary.json",
        "runs/run-2/index.html",
        "runs/run-1/other.html",
        "runs/run-1/index.html/x",
        "runs//index.html",
        "runs/run-1/",
        "runs",
        "%0A",
    ],
)
def test_no_other_object_is_signed(world: World, key: str) -> None:
    """Whatever else lies in the bucket, or in the folders of jobs and runs."""
    assert world.ask(f"/objects/{key}").status == 404


def test_a_job_of_another_bucket_keeps_its_address(world: World) -> None:
    """Its record names it: the number leads there, a key of our bucket does not."""
    assert world.ask("/jobs/a/objects/0").headers["Location"].startswith(f"https://store.example/memory/{KEY}?")
    for path in ("/jobs/a/objects/1", "/jobs/b/objects/0", "/jobs/a/objects/-1", "/jobs/a/objects/9999999"):
        assert world.ask(path).status == 404


def test_a_contact_sheet_is_passed_on(world: World) -> None:
    """Links in it lead to the objects beside it; it may run its own script alone, and nothing in our name."""
    answer = world.ask("/objects/runs/old/index.html")
    assert (answer.status, answer.text) == (200, "<p>the sheet</p>")
    policy = answer.headers["Content-Security-Policy"]
    assert policy == sheet_policy()
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    script = (files("bide.bulk.sheet") / "sheet.js").read_bytes()
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_sheet_that_is_not_there_is_said(world: World) -> None:
    """A run that goes on has none yet."""
    answer = world.ask("/objects/runs/run-1/index.html")
    assert (answer.status, "a run that goes on has none yet" in answer.words) == (404, True)


# Runs


def test_runs_are_listed_with_their_progress(world: World) -> None:
    """The latest first; a run that is over leads to its contact sheet."""
    world.runs.begin("run-1")
    world.runs.create("run-2", rows=1, digest="d", source="rows.jsonl", options=Options(budget=5_000_000))
    world.runs.forget("run-2", why="canceled before its input was in place; nothing was bought")
    answer = world.ask("/runs")
    assert re.findall(r'<h2><a href="/runs/([^"]+)">', answer.text) in (["run-2", "run-1"], ["run-1", "run-2"])
    for words in ("0 of 3 rows done", "0 of 1 row done", "0 of 5 spent", "nothing was bought"):
        assert words in answer.words, words


def test_a_run_has_its_page(world: World) -> None:
    """While it goes on, and after it was forgotten."""
    world.runs.begin("run-1")
    page = world.ask("/runs/run-1")
    assert "The contact sheet is made when the run is over" in page.words
    assert "/?run=run-1" in page.hrefs
    assert 'data-live="runs"' in page.text
    old = world.ask("/runs/old")
    assert "The run itself is forgotten" in old.words
    assert "/objects/runs/old/index.html" in old.hrefs


@pytest.mark.parametrize("run", ["run-9", "a.b", "x" * 65, "..%2f"])
def test_an_unknown_run_is_not_found(world: World, run: str) -> None:
    """In words."""
    assert world.ask(f"/runs/{run}").status == 404


# Thumbnails


def test_a_job_without_a_picture_has_no_thumbnail(world: World) -> None:
    """Nor has one that is not known."""
    for path in ("/jobs/a/objects/0/thumbnail", "/jobs/b/objects/0/thumbnail"):
        assert world.ask(path).status == 404


def test_only_pictures_are_made_small() -> None:
    """No process is begun for a video, nor for a crowd."""

    async def run() -> list[bytes | None]:
        thumbnails = Thumbnails(OPTIONS)
        found = [await thumbnails.of(output_of("a.mp4", content_type="video/mp4"))]
        thumbnails._waiting = 64
        found.append(await thumbnails.of(output_of("a.png")))
        assert thumbnails._process is None
        return found

    assert asyncio.run(run()) == [None, None]
