"""Makes `.venv` and installs bide with one of its extras there: `python3 deploy/environment.py embedded`.

The standard library alone is needed; uv is used where it is on the PATH. A terminal shows one line that lives, a log a
line every few seconds. What the installer printed is shown in full where it fails.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

OLDEST = (3, 11)
FOLDER = Path(".venv")

#: How often a log gets a line [seconds].
LOG_SECONDS = 5.0

#: What an extra also has, without the packages that it asks for: blackforest pins an old Pillow, and works with any.
ALONE = {"dev": ("blackforest",)}

_MEGABYTES = {"kB": 0.001, "KiB": 0.001, "MB": 1.0, "MiB": 1.0}
_NAME = re.compile(r"[^\w.-]")
_SIZE = re.compile(r"\((\d+(?:\.\d+)?) (kB|KiB|MB|MiB)\)")


class Progress:
    """What an installer's lines say of how far it is."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._began = clock, clock()
        self._packages, self._megabytes, self._doing = 0, 0.0, f"making {FOLDER}"

    def read(self, line: str) -> None:
        """Take one line of pip's output in."""
        first, _, rest = line.strip().partition(" ")
        if first == "Collecting":
            self._packages, self._doing = self._packages + 1, _NAME.split(rest, maxsplit=1)[0]
        elif first in ("Downloading", "Using") and (size := _SIZE.search(rest)):
            self._megabytes += float(size[1]) * _MEGABYTES[size[2]]
        elif first == "Installing":
            self._doing = "unpacking"

    def __str__(self) -> str:
        seconds = self._clock() - self._began
        return f"setup: {seconds:3.0f} s, {self._packages} packages, {self._megabytes:.0f} MB: {self._doing}"


def main(extra: str) -> int:
    """Install, and say how it went; the exit code."""
    if sys.version_info < OLDEST:
        sys.stderr.write("bide needs Python 3.11 or newer: make PYTHON=python3.12\n")
        return 1
    progress = Progress()
    show = _on_terminal if sys.stdout.isatty() else _in_log()
    show(f"setup: makes {FOLDER} and installs bide[{extra}] there")
    if not (FOLDER / "bin" / "python").exists():
        without_pip = ["--without-pip"] if _uv() else []
        made = subprocess.run([sys.executable, "-m", "venv", *without_pip, str(FOLDER)], check=False)
        if made.returncode:  # the reason stands on standard error
            return made.returncode
    alone = [("--no-deps", name) for name in ALONE.get(extra, ())]
    for wanted in (("-e", f".[{extra}]"), *alone):
        with subprocess.Popen(
            _command(*wanted), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as installer:
            printed = list(_followed(installer.stdout or (), progress, show))
        if installer.returncode:
            sys.stdout.write(f"\n{''.join(printed)}\nsetup failed: what the installer printed stands above\n")
            return installer.returncode
    if not _uv():  # pip would compile on one core
        show(str(progress).rpartition(":")[0] + ": compiling")
        compiling = [str(FOLDER / "bin" / "python"), "-m", "compileall", "-q", "-j", "0", str(FOLDER / "lib")]
        subprocess.run(compiling, stdout=subprocess.DEVNULL, check=False)  # some packages bring files of Python 2
    show(str(progress).rpartition(":")[0] + ": ready")
    sys.stdout.write("\n" if sys.stdout.isatty() else "")
    return 0


def _uv() -> str | None:
    """Where uv is; None where there is none that runs."""
    uv = shutil.which("uv")
    return uv if uv and subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0 else None


def _command(*wanted: str) -> list[str]:
    pinned = [*wanted, "-c", "constraints.txt"]
    if uv := _uv():
        return [uv, "pip", "install", "--compile-bytecode", "--python", str(FOLDER / "bin" / "python"), *pinned]
    pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--no-compile"]
    pip += ["--disable-pip-version-check", "--no-input"]
    return [*pip, "--progress-bar", "off", *pinned]


def _followed(lines: Iterable[str], progress: Progress, show: Callable[[str], None]) -> Iterable[str]:
    for line in lines:
        progress.read(line)
        show(str(progress))
        yield line


def _on_terminal(text: str) -> None:
    sys.stdout.write(f"\r\x1b[2K{text[: shutil.get_terminal_size().columns - 1]}")
    sys.stdout.flush()


def _in_log(*, clock: Callable[[], float] = time.monotonic) -> Callable[[str], None]:
    """A `show` that leaves lines out which come soon after another."""
    shown_at = float("-inf")

    def show(text: str) -> None:
        nonlocal shown_at
        now = clock()
        if now - shown_at >= LOG_SECONDS or text.endswith("ready"):
            shown_at = now
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    return show


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
