"""Terminal sessions in pages: each `$` command of a `console` block is run, what it prints is compared, or written.

`python -m tests.integration.recorded PAGE...` records pages anew, against a deployment of their own. Ids become the
same made-up ones at each recording, and times those of one night, so that a page changes only where the program does.
A text file stands in a page as its name in backquotes, then its content in a block.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tests.integration.object_store import BUCKET
from tests.integration.rig import CALLBACK_SECRET, FLOWER_PASSWORD, FLOWER_USER, Rig
from workers.embedded.environment import DEMO_MONEY, NO_BUDGETS

ROOT = Path(__file__).parents[2]

#: When the first recorded moment of a page was, as the page has it.
NIGHT = datetime(2026, 11, 21, 3, 12, 7)  # noqa: DTZ001 - only differences matter

#: The demo's file of budgets.
BUDGETS = "budgets.toml"

#: How long one command may take [seconds].
COMMAND_SECONDS = 150

_CONSOLE = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"^`([\w.-]+)`\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ID = re.compile(r"\b(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{26})\b")  # the short ones are Replicate's
_MOMENT = re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?")
_SIGNED = re.compile(rf"http://127\.0\.0\.1:\d+/{BUCKET}(/\S+?)\?X-Amz-\S+")
_DAY = re.compile(r"\b20\d\d/\d\d/\d\d\b")
_PERIOD = re.compile(r"\b20\d\d-\d\d(-\d\d)?\b(?![-T ]\d)")  # of a budget: a day or a month

#: When a budget of a month begins anew.
_NEXT_MONTH = re.compile(r"\b\d{4}-\d\d-01 (?=00:00 UTC)")

#: What may differ between two runs of the same program: times, ports, sizes, counts, and what a poll heard meanwhile.
_CHANGING = (
    (re.compile(rf"{_MOMENT.pattern}(?:Z|[+-]\d\d:\d\d)?"), "MOMENT"),
    (re.compile(r"( s +poll +).*"), r"\1"),
    (re.compile(r"\b\d+ polls?\b"), "N polls"),
    (re.compile(r"^ +polls +learned from .*\n", re.MULTILINE), ""),  # only after enough jobs of the kind
    (re.compile(r"^[█░]+ .*?(finished)?$", re.MULTILINE), r"PROGRESS \1"),
    (re.compile(r"\b(png|webp)\b"), "FORMAT"),
    (re.compile(r"\b(pending|processing|queued|submitting|running|storing|PENDING|STARTED|RETRY)\b"), "STATE"),
    (re.compile(r"\b[0-9a-f]{26,}\b|[+-]?\d+(?:[.:]\d+)*[smhd]?\b"), "N"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True)
class Step:
    """One command of a page, and what stands below it."""

    command: str
    output: str


class Session:
    """Runs the commands of one page in a folder; knows which made-up id stands for which real one."""

    #: How long one command may take.
    seconds = COMMAND_SECONDS

    def __init__(self, page: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._page, self._folder, self._environment = page, folder, dict(environment)
        self._real: dict[str, str] = {}
        self._shift: timedelta | None = None

    def run(self, command: str) -> str:
        """What a command prints, as the page would have it."""
        for made_up, real in self._real.items():
            command = command.replace(made_up, real)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            input="y\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.seconds,
            check=False,
        )
        assert done.returncode in (0, 1), f"{command}\n{done.stdout}"
        return self.as_written(done.stdout.replace("[y/N]: ", "[y/N]: y\n"))

    def as_written(self, text: str) -> str:
        """A text as the page would have it."""
        text = text.replace(f"s3://{BUCKET}/", "s3://bide/").replace(f'"{BUCKET}"', '"bide"')  # as the demo has it
        text = _SIGNED.sub(r"https://media.example.com/bide\1?X-Amz-...", text)
        text = _ID.sub(lambda found: self._made_up(found[0]), text)
        text = _DAY.sub(f"{NIGHT:%Y/%m/%d}", text)
        text = _NEXT_MONTH.sub("2026-12-01 ", text)
        text = _PERIOD.sub(lambda found: f"{NIGHT:%Y-%m-%d}"[: len(found[0])], text)
        return _MOMENT.sub(lambda found: self._at_night(found[0]), text)

    def _made_up(self, real: str) -> str:
        known = {value: name for name, value in self._real.items()}
        if real not in known:
            made_up = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._page.name}#{len(known)}")
            known[real] = str(made_up) if "-" in real else made_up.hex[: len(real)]
            self._real[known[real]] = real
        return known[real]

    def _at_night(self, moment: str) -> str:
        at = datetime.fromisoformat(moment)
        self._shift = self._shift or NIGHT - at
        timespec = "microseconds" if at.microsecond else "seconds"
        return (at + self._shift).isoformat(moment[10], timespec=timespec)


def demo_rig(folder: Path) -> Rig:
    """A deployment like that of `bide demo --keep`: what its providers cost, and an empty file of budgets."""
    budgets = folder / BUDGETS
    budgets.write_text(NO_BUDGETS, encoding="utf-8")
    return Rig(folder, settings={**DEMO_MONEY, "BIDE_BUDGETS": str(budgets)})


def steps(block: str) -> list[Step]:
    """The commands of a block; one that goes on in the next line ends with a backslash."""
    found = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    return [Step(command, output) for command, output in found]


def shape(output: str) -> list[str]:
    """What must be the same in each run; lines that repeat each other count once."""
    for pattern, stand_in in _CHANGING:
        output = pattern.sub(stand_in, output)
    lines = [line.strip() for line in output.splitlines()]
    return [line for number, line in enumerate(lines) if number == 0 or line != lines[number - 1]]


def play(page: Path, rig: Rig, folder: Path, *, then: Callable[[Step, str], None] | None = None) -> str:
    """Run all of a page in order, and tell `then` what each step printed; returns the page with what was printed."""
    text = page.read_text(encoding="utf-8")
    environment = rig.environment()
    _furnish(folder, text, Path(environment["BIDE_BUDGETS"]))
    return play_in(Session(page, folder, {**environment, **_addresses(rig, text)}), text, then=then)


def play_in(session: Session, text: str, *, then: Callable[[Step, str], None] | None = None) -> str:
    """Run all commands of a page's text in a session; see `play`."""

    def recorded(block: re.Match[str]) -> str:
        return "".join(f"$ {step.command}\n{printed(step)}" for step in steps(block[0]))

    def printed(step: Step) -> str:
        output = session.run(step.command)
        if then:
            then(step, output)
        return output if output.endswith("\n") or not output else f"{output}\n"

    return _CONSOLE.sub(recorded, text)


def files_of(text: str) -> dict[str, str]:
    """The text files that stand in a page, by their names."""
    return dict(_FILE.findall(text))


def _furnish(folder: Path, text: str, budgets: Path) -> None:
    """What a person has in the folder: the deployment, and the page's files."""
    for name in ("config", "tasks", "workers"):
        (folder / name).symlink_to(ROOT / name)
    demo = folder / ".bide/demo"
    demo.mkdir(parents=True)
    (demo / "callbacks.secret").write_text(CALLBACK_SECRET)
    (demo / "flower.txt").write_text(f"{FLOWER_USER}:{FLOWER_PASSWORD}\n")
    (demo / BUDGETS).symlink_to(budgets)
    for name, content in files_of(text).items():
        (folder / name).write_text(content, encoding="utf-8")


def _addresses(rig: Rig, text: str) -> dict[str, str]:
    """What a page's commands know by a variable; Flower is started for those that ask it."""
    addresses = {"SANDBOX": rig.sandbox.base_url}
    if "$FLOWER" in text:
        addresses["FLOWER"] = rig.flower.start()[1]
    return addresses


def main(pages: list[str]) -> None:
    """Record pages anew, in this order: the one that lists all jobs goes first."""
    with tempfile.TemporaryDirectory(prefix="bide-recorded-") as kept, demo_rig(Path(kept)) as rig:
        for page in map(Path, pages):
            folder = Path(kept, page.stem)
            folder.mkdir()
            page.write_text(play(page, rig, folder), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
