"""`python -m tests.integration.first_hour`: records docs/first-hour.md anew, in a clean clone of what is committed.

All is as a new user has it: the clone, the environment that `make demo` makes, and a service with the wheel in an
environment of its own. A command that ends with `&`, and the demo that stays up, run on until the page is played.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.processes import Process, plain_environment
from tests.integration.recorded import ROOT, Session, Step, files_of, play_in
from tests.integration.servers import free_port

PAGE = ROOT / "docs" / "first-hour.md"

REPOSITORY = "https://github.com/bide-dev/bide"

#: The last line of a demo that stays up, once it is ready.
READY = r"kill -9 \d+ .*\n"

#: Lines that say how far something is: a log has one every few seconds.
_PROGRESS = re.compile(r"(?m)^(setup: +\d+ s|bulk:| *\d+\.\d s  ).*\n")
_LINES = re.compile(rf"(?m)(?:{_PROGRESS.pattern.removeprefix('(?m)')}){{3,}}")
_RUN = re.compile(r"demo-\d{8}-\d{6}-[0-9a-f]{4}")
_PASSWORD = re.compile(r"(?<=password )[\w-]{16}")


class NewUser(Session):
    """The commands of one person, in the order of the page; `end` ends what still runs."""

    seconds = 600

    def __init__(self, folder: Path) -> None:
        clone = {"KEY_0": f"url.file://{ROOT}.insteadOf", "VALUE_0": REPOSITORY, "COUNT": "1"}
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))}
        git = {f"GIT_CONFIG_{name}": value for name, value in clone.items()}
        own = {"SHOP": f"http://127.0.0.1:{free_port()}"}
        super().__init__(PAGE, folder, {**_without_this_environment(), **kept, **git, **own})
        self._running: list[Process] = []

    def run(self, command: str) -> str:
        """What a command prints; one that goes on is left running."""
        if command.startswith("cd "):
            self._enter(self._folder / command.removeprefix("cd "))
            return ""
        if command.endswith(("--keep", "&")):
            return self._start(command.removesuffix("&"), ready=READY if command.endswith("--keep") else "")
        return super().run(command)

    def end(self) -> None:
        """End what runs on, the last first."""
        for process in reversed(self._running):
            process.ask_to_end()
            process.wait(60)

    def as_written(self, text: str) -> str:
        """As the page has it: of lines that say how far something is the first and the last, and no password."""
        text = _LINES.sub(_first_and_last, text.replace(str(self._folder), "~/bide"))
        text = _RUN.sub("demo-20261121-031207-4f2a", text)
        return super().as_written(_PASSWORD.sub("made-up-password", text))

    def _enter(self, folder: Path) -> None:
        self._folder = folder
        self._environment["PATH"] = f"{folder}/.venv/bin{os.pathsep}{self._environment['PATH']}"
        for name, content in files_of(PAGE.read_text(encoding="utf-8")).items():
            (folder / name).write_text(content, encoding="utf-8")

    def _start(self, command: str, *, ready: str) -> str:
        name = f"background-{len(self._running)}"
        log = self._folder / f"{name}.log"
        process = Process(
            name, ["/bin/sh", "-c", f"exec {command}"], env=self._environment, root=self._folder, ready=ready, log=log
        )
        process.start()
        self._running.append(process)
        printed = process.output()
        if broker := re.search(r"redis://\S+", printed):
            self._environment["BIDE_BROKER_URL"] = broker[0]
        return self.as_written(printed)


def _without_this_environment() -> dict[str, str]:
    """The variables of a machine on which bide was never installed."""
    plain = plain_environment()
    tests_own = str(Path(sys.executable).parent)
    others = [folder for folder in plain["PATH"].split(os.pathsep) if folder != tests_own]
    return {**plain, "PATH": os.pathsep.join(others), "VIRTUAL_ENV": ""}


def without_progress(output: str) -> str:
    """What a command printed without the lines that say how far it was."""
    return _PROGRESS.sub("", output).replace("...\n", "")


def _first_and_last(found: re.Match[str]) -> str:
    first, *_, last = found[0].splitlines(keepends=True)
    return f"{first}...\n{last}"


@contextmanager
def new_user(folder: Path) -> Iterator[NewUser]:
    """A person in an empty folder, who leaves nothing running."""
    user = NewUser(folder)
    try:
        yield user
    finally:
        user.end()


def play_page(folder: Path, *, then: Callable[[Step, str], None] | None = None) -> str:
    """Play the whole page in an empty folder; returns it with what was printed."""
    with new_user(folder) as user:
        return play_in(user, PAGE.read_text(encoding="utf-8"), then=then)


def main() -> None:
    """Write the page with what its commands print."""
    with tempfile.TemporaryDirectory(prefix="bide-first-hour-") as folder:
        PAGE.write_text(play_page(Path(folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
