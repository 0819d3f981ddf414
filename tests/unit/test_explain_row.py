"""`bide explain` of rows after their run: the story of a line of the results."""

from __future__ import annotations

from typing import Any

from bide.bulk.record import Options
from bide.bulk.runs import Runs
from bide.cli.explain import _lines
from bide.cli.explain_row import line_story
from tests.contract.ledger_stage import Stage
from tests.unit.bulk_world import World
from tests.unit.command import Command

REQUEST = {"provider": "photogpt", "operation": "images.generation", "metadata": {"sku": 17}}


def row(prompt: str) -> dict[str, Any]:
    """A request with a prompt of its own."""
    return {**REQUEST, "params": {"modelID": "m1", "prompt": prompt}}


def test_the_lines_of_a_run_tell_their_story(stage: Stage) -> None:
    """Succeeded, failed, left out and repeated: each says what it was, what it cost and what to do."""
    world = World(stage.server)
    world.begin([row("a fox"), row("a bad owl"), row("a fox"), row("a bear")], Options(window=4, max_jobs=2))
    world.run_to_its_end(fails="bad")
    done, failed, copy, skipped = (line_story("r", line) for line in world.lines())
    assert (done["state"], done["what"]) == ("succeeded", "photogpt images.generation: a fox")
    assert (done["money"], done["to_do"], done["metadata"]) == ("bought", "nothing", {"sku": 17})
    assert (failed["failure"]["code"], failed["job_id"]) == ("generation_failed", "r.2")
    assert "`bide bulk replay r`" in failed["replay"]
    assert "it repeats row 1, and was bought with it" in copy["why"]
    assert (skipped["state"], skipped["money"]) == ("skipped", "not bought")
    assert "--max-jobs" in skipped["to_do"]
    for story in (done, failed, copy, skipped):
        shown = "\n".join(_lines(story))
        assert story["job_id"] in shown
        assert "None" not in shown


def test_a_line_of_the_release_before_is_read(stage: Stage) -> None:
    """It has fewer fields; those about money are shown."""
    world = World(stage.server)
    world.begin([row("a fox"), row("a bad owl"), row("a bear")], Options(window=4, max_jobs=2))
    world.run_to_its_end(fails="bad")
    lines = [{**line} for line in world.lines()]
    for line in lines:
        for name in ("money", "provider_job_id", "account"):
            del line[name]
    assert [line_story("r", line)["money"] for line in lines] == ["bought", "bought", "not bought"]


def test_a_row_that_has_not_begun_says_where_its_run_stands(stage: Stage) -> None:
    """The run is known, the row is not; a row that the run lacks is named as such."""
    runs = Runs(stage.server)
    runs.create("spring", rows=5, digest="d", source="s", options=Options())
    command = Command(stage)
    assert "has no job yet" in command("explain", "spring.3").stderr
    assert "its rows are 1 to 5" in command("explain", "spring.6").stderr
    assert "nothing is known of a job 'autumn.3'" in command("explain", "autumn.3").stderr
