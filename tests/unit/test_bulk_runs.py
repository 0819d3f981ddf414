"""Runs in memory: fed in windows, killed at every script, paused, steered; each row ends once."""

from __future__ import annotations

import pytest

from bide.bulk.record import Options
from bide.bulk.results import read
from bide.errors import IdempotencyConflictError, StorageError
from bide.ledger.keys import prefix
from tests.unit.bulk_world import ACCOUNT, PRICES, World, row, some_rows

WHOLE = 1_000_000


def test_a_run_is_fed_in_its_window_and_leaves_only_its_record(world: World) -> None:
    """Never more rows alive than its window; at the end no job's record is left."""
    world.begin(some_rows(11), Options(window=4))

    for _ in range(60):
        world.feed()
        assert len(world.runs.live("r")) <= 4
        world.finish_jobs(most=2)

    assert world.states() == ["succeeded"] * 11
    assert set(world.bought.values()) == {1}
    assert world.summary()["succeeded"] == world.summary()["rows"] == 11
    left = set(world.server.scan_iter("bide:*"))
    assert left == {"bide:accounts", "bide:runs:ended", "bide:run:r:record", f"{prefix(ACCOUNT)}account"}
    assert world.server.ttl("bide:run:r:record") > 0
    assert "turn:r" not in world.server.hgetall(f"{prefix(ACCOUNT)}account")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_feeder_killed_at_any_move_loses_and_doubles_nothing(world: World, *, after: bool) -> None:
    """Time after time a feeder is killed at its first script, its second, and so on; the next feeder goes on."""
    world.begin([*some_rows(7), row("fox 1"), *some_rows(9)[7:]], Options(window=3, prices=PRICES))

    for turn in range(400):
        world.die_at(turn % 9, after=after)
        if turn % 3 == 2:
            world.finish_jobs()
        run = world.runs.read("r")
        if run is None or run.over:
            break
    world.run_to_its_end()

    assert world.states() == ["succeeded"] * 10
    assert set(world.bought.values()) == {1}
    assert len(world.bought) == 9
    run = world.runs.read("r")
    assert run is not None
    assert (run.number("spent"), run.number("reserved")) == (9 * WHOLE, 0)


def test_two_feeders_at_once_do_the_work_of_one(world: World) -> None:
    """The second one's lease is refused; with a lease of its own it would find nothing to do twice."""
    world.begin(some_rows(6), Options(window=6))
    world.feed()
    assert world.runs.take("r", "one", seconds=60) is False  # nothing is due
    world.server.zadd("bide:runs", {"r": 0})
    assert world.runs.take("r", "one", seconds=60)
    assert not world.runs.take("r", "two", seconds=60)
    assert world.runs.feed("r", "two", row=1, buys=True, window=9, rows=[("c 0 1 0 a/b", 0, 1)]) == (0, "lost")
    assert world.runs.release("r", "two", seconds=1) is None
    assert world.runs.release("r", "one", seconds=1) == 1


def test_the_same_name_joins_the_same_file_and_no_other(world: World) -> None:
    """Begun twice it is one run; its name is taken for any other file."""
    assert world.begin(some_rows(3))
    assert not world.begin(some_rows(3))
    with pytest.raises(IdempotencyConflictError, match="of another file"):
        world.begin(some_rows(2))
    world.run_to_its_end()
    assert not world.begin(some_rows(3))
    world.server.flushall()
    with pytest.raises(IdempotencyConflictError, match="no longer known"):
        world.begin(some_rows(3))


def test_rows_that_repeat_others_share_their_result(world: World) -> None:
    """One purchase, one line for each row."""
    world.begin([row("a"), row("b"), row("a"), row("a")])
    world.run_to_its_end()

    assert world.bought == {"a": 1, "b": 1}
    assert [line["job_id"] for line in world.lines()] == ["r.1", "r.2", "r.1", "r.1"]
    assert [line.get("copy_of") for line in world.lines()] == [None, None, 1, 1]
    assert world.summary()["succeeded"] == 4


def test_a_paused_run_buys_nothing_and_a_resumed_one_all(world: World) -> None:
    """What waits in line is taken back, unopened, and opened again."""
    world.begin(some_rows(6), Options(window=40))
    world.server.hset(f"{prefix(ACCOUNT)}account", "gate_until", 10**11)  # the provider refuses all for now
    world.feed()
    assert world.server.zcard(f"{prefix(ACCOUNT)}queued") == 6
    assert world.runs.pause("r", why="paused on request")
    world.feed()
    assert world.finish_jobs() == 0
    assert {live.kind for live in world.runs.live("r")} == {"c"}

    world.server.hdel(f"{prefix(ACCOUNT)}account", "gate_until")
    assert world.runs.resume("r")
    world.run_to_its_end()
    assert world.states() == ["succeeded"] * 6
    assert set(world.bought.values()) == {1}


def test_a_canceled_run_ends_every_row(world: World) -> None:
    """What is bought is brought home, all else is canceled; each row has its line."""
    world.begin(some_rows(9), Options(window=4))
    world.feed()
    world.finish_jobs(most=2)
    assert world.runs.cancel("r")
    world.run_to_its_end()

    assert sorted(set(world.states())) == ["canceled", "succeeded"]
    assert world.states().count("succeeded") == len(world.bought)
    assert world.summary()["state"] == "canceled"
    assert not world.runs.resume("r")


def test_a_run_whose_input_is_gone_can_be_canceled(world: World) -> None:
    """A run without its input stores what is bought, ends, and says why."""
    world.begin(some_rows(9), Options(window=4))
    world.feed()
    world.finish_jobs(most=4)
    del world.storage.client.objects["runs/r/input.jsonl"]  # type: ignore[attr-defined]  # the double's own
    assert world.runs.cancel("r")
    for _ in range(6):
        world.feed()

    run = world.runs.read("r")
    assert run is not None
    assert (run.state, run.over) == ("canceled", True)
    assert "without its input" in run.text("note")


def test_rows_let_in_stay_few_so_that_others_are_not_held_up(world: World) -> None:
    """Many rows are in line, and few hints are under way at once."""
    world.begin(some_rows(40), Options(window=40))
    world.feed()
    assert world.server.scard(f"{prefix(ACCOUNT)}told") == world.server.scard(f"{prefix(ACCOUNT)}inflight") == 16


def test_a_row_has_its_time_from_when_it_leaves_the_line(world: World) -> None:
    """In line it waits as long as its run takes."""
    world.begin(some_rows(20), Options(window=20))
    world.feed()
    at, now = prefix(ACCOUNT), float(world.server.time()[0])
    deadlines = [float(world.server.hget(f"{at}job:r.{n}", "deadline") or 0) - now for n in range(1, 21)]
    assert sum(abs(seconds - 600) < 5 for seconds in deadlines) == 16
    assert sum(seconds > 300 * 86400 for seconds in deadlines) == 4


def test_an_input_that_was_changed_fails_its_rows(world: World) -> None:
    """A line that can't be read any more ends its row; nothing hangs."""
    world.begin(some_rows(3))
    key = "runs/r/input.jsonl"
    content = world.storage.get(world.storage.uri(key), max_bytes=10**6)
    world.storage.put(key, content.replace(b'"prompt":"fox 2"', b'"prompt":"fox 2\\'), content_type="")
    world.run_to_its_end()

    assert world.states() == ["succeeded", "failed", "succeeded"]
    assert world.lines()[1]["error"]["code"] == "invalid_request"


def test_object_storage_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results wait, nothing more is bought than the window holds, the run says why; then it goes on."""

    def away(*_: object, **__: object) -> None:
        raise StorageError("s3://memory: no answer")

    world.begin(some_rows(9), Options(window=4))
    world.feed()
    with monkeypatch.context() as patch:
        patch.setattr(world.storage, "put", away)
        for _ in range(5):
            world.finish_jobs()
            world.feed()
        run = world.runs.read("r")
        assert run is not None
        assert "no answer" in run.progress()["trouble"]
        assert len(world.bought) == 4

    world.run_to_its_end()
    assert world.states() == ["succeeded"] * 9
    assert set(world.bought.values()) == {1}


def test_pictures_do_not_lie_in_the_results(world: World) -> None:
    """A long base64 text is left out, a long prompt is not."""
    prompt = "a red fox and an old man " * 40
    world.begin([{**row(prompt), "params": {**row(prompt)["params"], "mask": "QUJD" * 1000}}])
    world.run_to_its_end()

    params = next(iter(read(world.storage, "r")))["request"]["params"]
    assert params["mask"] == "(4000 characters left out)"
    assert params["prompt"] == prompt
