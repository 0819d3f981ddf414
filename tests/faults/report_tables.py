"""The tables of the reliability page, each from the results of its runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from tests.faults.chaos.verdict import ALL, REDIS_AWAY, spread
from tests.faults.failover.scenes import SCENES
from tests.faults.failover.setup import PLAIN as PLAIN_CELERY
from tests.faults.lost.scenes import SCENES as LOST_SCENES
from tests.faults.lost.stage import WAYS

Result = dict[str, Any]

#: The contenders of plain Celery, and how the page calls each contender.
PLAIN = ("naive", "recommended")
TITLES = {"bide": "bide", "naive": "Celery, its own settings", "recommended": "Celery, recommended settings"}

_NOT_UNITED = "different machines, versions or dates"


def crash_matrix(cells: Sequence[Result]) -> str:
    """A row for each crash point: how the jobs of all providers ended, and how soon."""
    by_point: dict[str, list[Result]] = defaultdict(list)
    for cell in cells:
        by_point[cell["point"]].append(cell)
    rows = [
        [
            point.replace("_", " "),
            str(len({cell["provider"] for cell in group})),
            str(len(group)),
            _counted(Counter(cell["end"] for cell in group)),
            _counted(Counter(cell["purchases"] for cell in group)),
            _seconds(_known(cell["moved_seconds"] for cell in group)),
            _seconds(_known(cell["ended_seconds"] for cell in group)),
        ]
        for point, group in by_point.items()
    ]
    head = ["killed", "providers", "jobs", "ends", "purchases", "moving again, p50 / max [s]", "ended, p50 / max [s]"]
    clocks = " and ".join(sorted({cell.get("clocks", "") for cell in cells}))
    summary = f"{len(by_point)} kills met {len(cells)} jobs midway; {clocks} clocks."
    return f"{summary}\n\n{_table(head, rows)}" if rows else ""


def chaos(runs: Sequence[Result]) -> str:
    """A column for each run of bide with everything that goes wrong."""
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("hosts", lambda run: str(run["options"]["hosts"] or "one")),
        ("`appendfsync`", lambda run: run["options"]["fsync"]),
        ("events", lambda run: str(len(run["plan"]))),
        ("of them kills of a process", lambda run: str(_events(run, "kill", "beat_dead"))),
        *_counts(),
        ("after a kill, moving again, Redis there: p50 / p95 / max [s]", lambda run: _recovery(run, ALL)),
        ("the same, Redis away meanwhile", lambda run: _recovery(run, REDIS_AWAY)),
        ("load of the machine (15 minutes)", lambda run: str(run.get("busy", "-"))),
        ("CPU that the machine's host kept [%]", lambda run: str(run.get("stolen_percent", "-"))),
    ]
    return _columns(runs, rows, lambda run: f"seed {run['options']['seed']}{_only(run)}")


def comparison(runs: Sequence[Result]) -> str:
    """A column for each contender, with the kinds of events that every deployment meets."""
    runs = sorted(runs, key=lambda run: list(TITLES).index(run["options"]["contender"]))
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("events", lambda run: str(len(run["plan"]))),
        *_counts(),
        ("of the lost: message still waits, comes back later", lambda run: str(run["held_back"])),
        ("purchases without a result", lambda run: str(run["paid_for_nothing"])),
        ("load of the machine (15 minutes)", lambda run: str(run.get("busy", "-"))),
        ("CPU that the machine's host kept [%]", lambda run: str(run.get("stolen_percent", "-"))),
    ]
    return _columns(runs, rows, lambda run: f"{TITLES[run['options']['contender']]}, seed {run['options']['seed']}")


def power_cuts(runs: Sequence[Result]) -> str:
    """What each setting of Redis loses when its host crashes."""
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("power cuts", lambda run: str(_events(run, "power_cut"))),
        *_counts(),
    ]
    return _columns(runs, rows, lambda run: f"`appendfsync {run['options']['fsync']}`")


def failovers(runs: Sequence[Result]) -> str:
    """A row for each scene, and setting or plain Celery: what its seeds lost, bought twice and left unconfirmed."""
    by_scene: dict[tuple[str, str], list[Result]] = defaultdict(list)
    order = list(SCENES)
    for run in sorted(runs, key=lambda run: (order.index(run["scene"]), run["safe"], run["seed"])):
        by_scene[run["scene"], run["safe"]].append(run)
    rows = [
        [
            SCENES[scene].says,
            "plain Celery" if safe == PLAIN_CELERY else f"`{safe}`",
            _listed(run["jobs"] - run["accepted"] for run in group),
            _listed(run["ends"].get("succeeded", 0) for run in group),
            _listed(run["ends"].get("submission_unknown", 0) for run in group),
            f"**{_listed(run['lost'] for run in group)}**",
            f"**{_listed(run['bought_twice'] for run in group)}**",
        ]
        for (scene, safe), group in by_scene.items()
    ]
    head = [
        "what happened",
        "`BIDE_LEDGER__SAFE`",
        "not accepted",
        "succeeded",
        "`submission_unknown`",
        "lost",
        "bought twice",
    ]
    if not rows:
        return ""
    busy = [run["busy"] for run in runs]
    load = f"Load of the machine (15 minutes): {min(busy)} to {max(busy)}."
    return f"{_where(runs)} {load} One figure for each seed.\n\n{_table(head, rows)}"


def lost_ledgers(runs: Sequence[Result]) -> str:
    """A row for each scene and way to lose a ledger, with receipts and without."""
    scenes, ways = list(LOST_SCENES), list(WAYS)
    rows = [
        [
            LOST_SCENES[run.get("scene", "plain")].says,
            WAYS[run["way"]],
            f"`{run['receipts']}`",
            *(f"{run[name]:,}" for name in ("jobs", "bought", "stored", "home", "listed")),
            _bold(run["lost"]),
            _bold(run["bought_twice"]),
        ]
        for run in sorted(
            runs, key=lambda run: (scenes.index(run.get("scene", "plain")), ways.index(run["way"]), run["receipts"])
        )
    ]
    head = [
        *("under way", "what happened", "`BIDE_LEDGER__RECEIPTS`", "jobs", "bought by then", "stored by then"),
        *("of these stored afterwards", "on the list", "lost", "bought twice"),
    ]
    return f"{_where(runs)}\n\n{_table(head, rows)}" if rows else ""


def receipt_costs(result: Result) -> str:
    """A row for each number of submits at once: how long a receipt takes, and how many puts it needs."""
    rows = [
        [
            at_once,
            " / ".join(f"{value:.1f}" for value in each["intent"]),
            " / ".join(f"{value:.1f}" for value in each["receipt"]),
            f"{each['puts_per_job']:.2f}",
        ]
        for at_once, each in result["at_once"].items()
    ]
    head = ["submits at once", "the intent alone [ms]", "its receipt besides [ms]", "puts per job"]
    what = f"{result['jobs']:,} submits each, p50 / p95; load of the machine {result['busy']}."
    return f"{_where([result])} {what}\n\n{_table(head, rows)}"


def safe_submits(result: Result) -> str:
    """A row for each setting: how long the writes of a submit take."""
    rows = [
        [name, *(" / ".join(f"{value:.2f}" for value in values[write]) for write in ("record", "intent", "id"))]
        for name, values in result["milliseconds"].items()
    ]
    head = ["acknowledged by", "record", "intent", "the provider's id"]
    what = f"{result['jobs']:,} submits with each, by turns, p50 / p95 [ms]; load of the machine {result['busy']}."
    return f"{_where([result])} {what}\n\n{_table(head, rows)}"


def _listed(numbers: Iterable[int]) -> str:
    """One number for each run."""
    return ", ".join(map(str, numbers))


def _where(runs: Sequence[Result]) -> str:
    """Machine, versions and date of all runs; those of two neighbouring days, where runs went on at midnight."""
    where = {(run["machine"], run["versions"]) for run in runs}
    days = sorted({date.fromisoformat(run["date"]) for run in runs})
    if len(where) != 1 or days[-1] - days[0] > timedelta(days=1):
        return f"({_NOT_UNITED})"
    return ". ".join([*where.pop(), " and ".join(map(str, days))]) + "."


def _counts() -> list[tuple[str, Callable[[Result], str]]]:
    return [
        ("jobs", lambda run: f"{run['jobs']:,}"),
        ("succeeded", lambda run: f"{run['ends'].get('succeeded', 0):,}"),
        (
            "ended as `submission_unknown`, on the operators' list",
            lambda run: str(run["ends"].get("submission_unknown", 0)),
        ),
        ("ended otherwise", lambda run: str(_otherwise(run))),
        ("**lost**: their caller got no answer", lambda run: _bold(run["lost"])),
        ("**bought twice**", lambda run: _bold(run["bought_twice"])),
        ("**stored wrong**", lambda run: _bold(run["stored_wrong"])),
        ("all that must be zero is", lambda run: "no" if run["broken"] else "yes"),
        ("answered late, after more than a minute", lambda run: str(run["late"])),
        ("from request to answer, p50 / p95 / max [s]", lambda run: _slashed(run["answer_seconds"])),
    ]


def _columns(
    runs: Sequence[Result], rows: Iterable[tuple[str, Callable[[Result], str]]], title: Callable[[Result], str]
) -> str:
    if not runs:
        return ""
    head = _where(runs)
    body = [[label, *cells] for label, tell in rows if set(cells := [tell(run) for run in runs]) != {"-"}]
    return f"{head}\n\n{_table(['', *map(title, runs)], body)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _only(run: Result) -> str:
    kinds = run["options"]["kinds"]
    return f", only {' and '.join(kinds)}" if kinds else ""


def _events(run: Result, *kinds: str) -> int:
    return sum(event["kind"] in kinds for event in run["plan"])


def _otherwise(run: Result) -> int:
    return sum(number for end, number in run["ends"].items() if end not in ("succeeded", "submission_unknown"))


def _recovery(run: Result, what: str) -> str:
    """The spread, and of how many jobs."""
    found = run["recovery_seconds"].get(what)
    return f"{_slashed(found[1:])} ({found[0]} jobs)" if found else "-"


def _counted(counts: Counter[Any]) -> str:
    """What all have in common, or how many have what."""
    return (
        str(*counts) if len(counts) == 1 else ", ".join(f"{number} x {what}" for what, number in sorted(counts.items()))
    )


def _known(seconds: Iterable[float]) -> list[float]:
    return [each for each in seconds if each >= 0]


def _seconds(values: list[float]) -> str:
    return _slashed([spread(values)[0], spread(values)[2]]) if values else "-"


def _slashed(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values) or "-"


def _bold(number: int) -> str:
    return f"**{number}**"
