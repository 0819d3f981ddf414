"""What other programs may rely on, as this code has it: names and bytes, to be compared with those of a release.

`python -m tests.contract.wire_names` prints them as JSON; `wire_names.json` beside this file is the output of 0.1.0.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import fakeredis
import redis

from bide import contract
from bide.bulk import names
from bide.bulk.record import LiveRow, Options
from bide.bulk.runs import Runs
from bide.bulk.scripts import OpenedRow
from bide.cli.main import main as command
from bide.contract import JobState, object_key
from bide.ledger import AccountName, Limits, Polled
from bide.ledger.keys import canceled_key, idempotency_key, prefix
from bide.settings.model import Settings
from bide.settings.variables import leaves, variable_name
from tests.contract.ledger_stage import ACCOUNT, ERROR, Clock, Crew, Stage, request_of
from workers.metrics.counted import COUNTERS, HISTOGRAMS
from workers.services.dispatcher import ACCOUNT_HEADER

ROOT = Path(__file__).parents[2]

#: From here on a number is the moment at which this runs; the stage's own clock shows an earlier one.
THIS_RUN_SECONDS = 1_750_000_000

#: Keys that 0.1.0 did not write, and passes by: recent jobs, abandoned purchases, settled doubts, and the index of
#: provider ids.
ADDED_KEY = re.compile(r"^bide:\{[^}]+\}:(recent|abandoned|settled_doubts|pids:\d+(:\d+)?)$")

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def wire() -> dict[str, Any]:
    """All of it."""
    return {
        "tasks": sorted(value for name, value in vars(contract).items() if name.endswith("_TASK")),
        "queues": sorted(contract.QUEUES),
        "states": sorted(JobState),
        "codes": sorted(contract.FailureCode),
        "headers": [ACCOUNT_HEADER],
        "settings": sorted(variable_name(leaf.path) for leaf in leaves(Settings)),
        "metrics": metrics(),
        "events": sorted(events()),
        "commands": sorted(commands(command)),
        "keys": keys(),
        "redis": ledger_bytes(),
    }


def metrics() -> dict[str, list[str]]:
    """Each metric that processes count: its label and the values that are kept apart, or its bounds."""
    counters = {counter.name: [counter.label, *counter.values] for counter in COUNTERS}
    return counters | {histogram.name: [str(bound) for bound in histogram.bounds] for histogram in HISTOGRAMS}


def events() -> Iterator[str]:
    """The names of all log events: every text of that form that is the first argument of a call."""
    for top in ("bide", "config", "tasks", "workers"):
        for path in (ROOT / top).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and call.args:
                    yield from _event(call)


def _event(call: ast.Call) -> Iterator[str]:
    first = call.args[0]
    logs = isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS and ast.unparse(call.func.value) == "log"
    steps = isinstance(call.func, ast.Name)
    for text in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
        if isinstance(text, ast.Constant) and (logs or steps) and re.fullmatch(r"[a-z]+\.[a-z_]+", str(text.value)):
            yield str(text.value)


def commands(group: click.Command, path: str = "bide") -> Iterator[str]:
    """Each command of the command line with its arguments and options."""
    if isinstance(group, click.Group):
        with click.Context(group) as context:
            for name in group.list_commands(context):
                found = group.get_command(context, name)
                if found is not None:
                    yield from commands(found, f"{path} {name}")
        if not group.invoke_without_command:
            return
    yield path
    for parameter in group.params:
        yield from (f"{path} {name}" for name in (*parameter.opts, *parameter.secondary_opts))


def keys() -> dict[str, str]:
    """Names of objects and of keys in Redis."""
    created = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    return {
        "object": object_key("job-1", "0.png", created_at=created, prefix=None),
        "object with a prefix": object_key("job-1", "job.json", created_at=created, prefix="tenant-a"),
        "row": names.job_id("run-1", 7),
        "input": names.input_key("run-1"),
        "copies": names.copies_key("run-1"),
        "results": names.results_key("run-1", 3),
        "summary": names.summary_key("run-1"),
        "sheet": names.sheet_key("run-1"),
        "account": prefix(ACCOUNT),
        "canceled": canceled_key("job-1"),
        "idempotency": idempotency_key("order-1"),
        "run": names.run_prefix("run-1"),
    }


def ledger_bytes() -> dict[str, Any]:
    """All that stands in Redis at some moments of a life in which each kind of thing happens."""
    server = fakeredis.FakeRedis(decode_responses=True)
    stage = Stage(server, Clock())
    stage.limits[ACCOUNT] = Limits(max_in_flight=20, submits_per_second=50, polls_per_second=50)
    moments: dict[str, Any] = {}
    for moment in (_in_line, _under_way, _in_doubt, _ended, _repaired, _of_a_run):
        moment(stage)
        stage.clock.advance(3)
        moments[moment.__name__.strip("_")] = dump(server)
    return moments


def _in_line(stage: Stage) -> None:
    stage.open("opened", metadata={"order": "1"}, idempotency_key="k1", callback_url="https://example.com/hook")
    stage.open("bulk", priority="bulk", on_unknown="resubmit", deadline_seconds=60.0)
    stage.arrive("follower", idempotency_key="k1", metadata={"order": "1"}, callback_url="https://example.com/hook")
    stage.ledger.jobs.cancel_unknown("unopened")
    stage.arrive("unopened")


def _under_way(stage: Stage) -> None:
    stage.submitting("submitting")
    stage.running("running", first_poll_seconds=2)
    stage.storing("storing")
    stage.running("polled", first_poll_seconds=0)
    claim = stage.ledger.polls.claim(ACCOUNT, 1, batch=10)
    outcomes = [Polled(job.job_id, "running", seconds=4, note="queued", seen=True) for job in claim.jobs]
    stage.ledger.polls.record(ACCOUNT, outcomes)


def _in_doubt(stage: Stage) -> None:
    stage.unconfirmed("doubt")
    stage.unconfirmed("attached", callback_url="https://example.com/hook")
    stage.ledger.unconfirmed.attach(ACCOUNT, "attached", "p-9")
    stage.unconfirmed("resubmitted")
    stage.ledger.unconfirmed.resubmit(ACCOUNT, "resubmitted")
    stage.unconfirmed("given-up")
    stage.ledger.unconfirmed.give_up(ACCOUNT, "given-up")


def _ended(stage: Stage) -> None:
    stage.finished("finished", callback_url="https://example.com/hook")
    record, token, attempt = stage.submitting("rejected")
    stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR, attempt=attempt)
    stage.ledger.jobs.cancel(ACCOUNT, "running")
    record, token, attempt = stage.submitting("refused")
    stage.ledger.submits.refused(record, token, attempt=attempt, reason="HTTP 429", after_seconds=5)
    stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")


def _repaired(stage: Stage) -> None:
    stage.ledger.accounts.resume(ACCOUNT)
    crew = Crew(stage.ledger, stage.clock)
    for _ in range(4):
        stage.clock.advance(12)
        crew.sweep()
        crew.work()
    stage.running("learned", account=AccountName("dreambooth", "second"))
    stage.ledger.accounts.learn(ACCOUNT, [("images.generation", "", "known")])


def _of_a_run(stage: Stage) -> None:
    runs, note = Runs(stage.server, retention_seconds=3600), LiveRow.entry_of("c", 0, 10, 5, ACCOUNT)
    runs.create("run-1", rows=2, digest="d", source="rows.jsonl", options=Options(budget=100, max_jobs=9))
    runs.begin("run-1")
    assert runs.take("run-1", "feeder", seconds=60)
    runs.feed("run-1", "feeder", row=1, buys=True, window=10, rows=[(note, 5, 10), ("", 0, 20)])
    request = request_of(priority="bulk")
    row = OpenedRow(
        row="1",
        live=note,
        id=names.job_id("run-1", 1),
        request=request.to_json(),
        operation=request.operation,
        allowed_seconds="60",
        fingerprint=request.fingerprint(),
    )
    runs.open("run-1", ACCOUNT, [row])


def dump(server: redis.Redis) -> dict[str, Any]:
    """Each key with its value and how long it is kept [minutes], -1 for ever."""
    found: dict[str, Any] = {}
    for key in sorted(server.scan_iter("*", count=1000)):
        left = int(server.ttl(key))
        found[key] = [_value(server, key), left if left < 0 else -(-left // 60)]
    return found


def _value(server: Any, key: str) -> Any:
    match server.type(key):
        case "hash":
            return {name: _fixed(value) for name, value in sorted(server.hgetall(key).items())}
        case "zset":
            return {name: _fixed(f"{score:.3f}") for name, score in server.zrange(key, 0, -1, withscores=True)}
        case "set":
            return sorted(server.smembers(key))
        case _:
            return _fixed(str(server.get(key)))


def _fixed(value: str) -> str:
    """The value, or `now` where it is the moment at which this runs."""
    is_moment = re.fullmatch(r"\d{10}(\.\d+)?", value) and float(value) > THIS_RUN_SECONDS
    return "now" if is_moment else value


if __name__ == "__main__":
    sys.stdout.write(json.dumps(wire(), indent=1, sort_keys=True) + "\n")
