"""`bide providers check`, `try` and `new`: providers of one file without code."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import stack_environment
from bide.cli.deployment import become
from bide.cli.output import ProblemsError, echo, echo_json

if TYPE_CHECKING:
    from bide.providers.declared.beginning import Beginning
    from bide.providers.declared.trial import Played

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

#: What `new` asks, each also an option: its question, and the usual answer.
QUESTIONS: Mapping[str, tuple[str, str | None]] = {
    "name": ("Name of the provider: small letters, digits and _", None),
    "base_url": ("Address of the API, such as https://api.example.com/v1", None),
    "source": ("Address of its documentation", None),
    "key": ("Header with the key", "Authorization: Bearer {api_key}"),
    "operation": ("Name of the operation, for your requests", "generate"),
    "submit": ("Method and path of the request that buys", "POST /generate"),
    "id": ("JSON path of the job's id in its answer", "$.id"),
    "poll": ("Method and path of the request that asks how the job stands, {id} for its id", "GET /jobs/{id}"),
    "state": ("JSON path of the job's state in its answer", "$.status"),
    "done": ("Words of a job that has its result, with commas between", "succeeded"),
    "failed": ("Words of a job that has failed, with commas between", "failed"),
    "media": ("JSON path of the outputs: an address, a list of them, or of records with url", "$.output"),
    "reason": ("JSON path of the reason of a failure", "$.error"),
}


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--samples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of recorded answers; by default the one beside FILE that ends in .samples.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: Path, samples: Path | None, as_json: bool) -> None:
    """Check a provider's FILE, and show what recorded answers become. Ends with 1 where anything is wrong."""
    from bide.providers.declared.trial import played  # noqa: PLC0415 - the engine is loaded only where there are files

    beside = file.with_suffix(".samples")
    folder = samples or (beside if beside.is_dir() else None)
    adapter, plays = played(file, folder)
    if as_json:
        echo_json({"provider": adapter.name, "samples": list(map(_as_json, plays))})
    else:
        echo(f"{file}: no mistakes; provider {adapter.name}, operations: {', '.join(adapter.operations)}")
        echo(*_table(plays), *_left_out(plays, [*adapter.operations]), _count(plays, folder))
    if any(play.missed for play in plays):
        raise click.exceptions.Exit(1)


@click.command("try")
@click.argument("file", type=FILE)
@click.option("--operation", help="The operation; not needed where the file has one alone.")
@click.option("--params", default="{}", help="The params as JSON, or @FILE.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=PLACE", help="A picture: a file or an address.")
@click.option("--save", type=click.Path(file_okay=False), help="A folder to save the outputs to.")
@click.option("--record", type=click.Path(file_okay=False), help="A folder to write the answers to, as samples.")
@click.option("--job", help="Go on with a job that is at the provider already, by its id there; nothing is bought.")
@click.option("--yes", is_flag=True, help="Buy without asking.")
def try_(file: Path, params: str, inputs: tuple[str, ...], yes: bool, **given: str | None) -> None:
    """Make one real job with a provider's FILE, and show each exchange, without secrets. It costs what it costs.

    Neither Redis nor a worker takes part: the job is in no ledger, and Ctrl-C leaves it to the provider.
    """
    options = [f"--params={params}", *(f"--input={each}" for each in inputs)]
    options += [f"--{name}={value}" for name, value in given.items() if value]
    options += ["--yes"] if yes else []
    become("workers.try_provider", *options, "--", str(file), environment=stack_environment())


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("config/providers"),
    show_default=True,
    help="Where the file goes.",
)
@click.option("--answers", type=FILE, help="A JSON file with answers: base_url and so on.")
def new(folder: Path, answers: Path | None, **given: str | None) -> None:
    """Write a provider's file, and samples, from the answers to a dozen questions about its API."""
    from bide.providers.declared.beginning import Beginning, samples, text  # noqa: PLC0415 - as in check

    given |= {name: answer for name, answer in _read_answers(answers).items() if given.get(name) is None}
    beginning = Beginning(**_answers(given))
    while problems := [*_problems(beginning, folder)]:
        beginning = replace(beginning, **_asked_again(problems, beginning, given))
    file, recorded = _places(folder, beginning.name)
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text(beginning), encoding="utf-8")
    recorded.mkdir()
    for name, sample in samples(beginning):
        (recorded / name).write_text(json.dumps(sample, indent=2) + "\n", encoding="utf-8")
    variable = f"BIDE_PROVIDERS__{beginning.name.upper()}__API_KEY"
    echo(
        *(
            f"{what}: {method} {beginning.base_url.rstrip('/')}{path}"
            for what, (method, path) in (("buys", beginning.buying), ("polls", beginning.asking))
        ),
        f"written: {file}, and samples in {recorded}",
        f"next: bide providers check {file}",
        f"then: set {variable}, and bide providers try {file} --params '{{...}}' --record {recorded}",
    )


for _name, (_question, _usual) in QUESTIONS.items():
    _usually = f"; usually {_usual}" if _usual else ""
    new.params.append(click.Option([f"--{_name.replace('_', '-')}"], help=f"{_question}{_usually}."))


def _places(folder: Path, name: str) -> tuple[Path, Path]:
    """The file of a provider, and the folder of its samples."""
    return folder / f"{name}.toml", folder / f"{name}.samples"


def _problems(beginning: Beginning, folder: Path) -> Iterator[tuple[str, str]]:
    """What is wrong with the answers, each with its question. No file is made of them."""
    from bide.providers.declared.beginning import question_of, text  # noqa: PLC0415 - as in check
    from bide.providers.declared.mistakes import MistakesError  # noqa: PLC0415 - as in check
    from bide.providers.declared.trial import adapter_of  # noqa: PLC0415 - as in check

    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / f"{beginning.name.replace('/', '_')}.toml"
        draft.write_text(text(beginning), encoding="utf-8")
        try:
            adapter_of(draft)
        except MistakesError as error:
            for mistake in error.mistakes:
                yield question_of(mistake.key, beginning.operation), f"{mistake.says}; {mistake.remedy}"
            return
    for place in _places(folder, beginning.name):
        if place.exists():
            yield "name", f"{place} is there already; take it away, or choose another name"


def _asked_again(
    problems: list[tuple[str, str]], beginning: Beginning, given: Mapping[str, str | None]
) -> dict[str, str]:
    """Other answers to what was typed; raises `ProblemsError` where options or a file gave an answer that is wrong."""
    lines = [f"  --{question.replace('_', '-')}: {problem}" for question, problem in problems]
    message = "\n".join(["no file can be made of these answers:", *lines])
    wrong = [name for name in QUESTIONS if name in dict(problems)]
    if any(given.get(name) is not None for name in wrong):
        raise ProblemsError(message)
    echo(message)
    return {name: click.prompt(QUESTIONS[name][0], default=getattr(beginning, name)) for name in wrong}


def _read_answers(file: Path | None) -> Mapping[str, str]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{file}: is no JSON ({error})") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise click.ClickException(f"{file}: is no object of names and texts")
    if unknown := sorted(set(found) - set(QUESTIONS)):
        raise click.ClickException(f"{file}: {', '.join(unknown)}: no such question; there are {', '.join(QUESTIONS)}")
    return found


def _answers(given: Mapping[str, str | None]) -> dict[str, str]:
    """The answers that were given, and for the rest the questions."""
    return {
        name: known if (known := given.get(name)) is not None else click.prompt(question, default=default)
        for name, (question, default) in QUESTIONS.items()
    }


def _as_json(play: Played) -> dict[str, Any]:
    return {"sample": play.name, "came": play.came, "missed": sorted(play.missed)}


def _table(plays: list[Played]) -> Iterator[str]:
    width = max((len(play.name) for play in plays), default=0)
    for play in plays:
        sign = "FAIL" if play.missed else "ok" if play.has_expectation else "-"
        yield f"  {sign:6}{play.name.ljust(width)}  {play.becomes}"
        yield from (
            f"        {name}: expected {play.sample.expect[name]!r}, came {came!r}"
            for name, came in play.missed.items()
        )


def _left_out(plays: list[Played], operations: list[str]) -> Iterator[str]:
    from bide.providers.declared.samples import USUAL_KINDS  # noqa: PLC0415 - as in check

    there = {(play.sample.operation, play.sample.kind) for play in plays}
    for operation in operations if plays else ():
        if missing := [kind for kind in USUAL_KINDS if (operation, kind) not in there]:
            yield f"  there is no sample of {operation}: {', '.join(missing)}"


def _count(plays: list[Played], folder: Path | None) -> str:
    if folder is None:
        return "no samples were played: name a folder with --samples"
    missed = sum(bool(play.missed) for play in plays)
    bare = sum(not play.has_expectation for play in plays)
    made_up = sum(play.sample.is_made_up for play in plays)
    parts = [f"{missed} of them not as expected" if missed else "all as expected"]
    parts += [f"{bare} of them expect nothing: give them an `expect`"] if bare else []
    parts += [f"{made_up} of them are made up: put the API's answers in their place"] if made_up else []
    return f"{len(plays)} samples of {folder}: {'; '.join(parts)}"
