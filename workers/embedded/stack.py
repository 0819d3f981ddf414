"""A stack: the children of one run, the folder they work in, and the order in which they end."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from workers.embedded.attention import Attention
from workers.embedded.child import Child, spawn

#: How long a child may take until it serves [seconds]; a busy laptop needs a good part of it.
READY_SECONDS = 60.0

#: How long the children may take to end in good order [seconds].
GRACE_SECONDS = 10.0

#: Where the client side finds a running stack.
STATE_FILE = "stack.json"


class StackError(Exception):
    """The stack can't start or can't go on; the message is for the person at the terminal."""


class ChildDiedError(StackError):
    """A child ended by itself."""

    def __init__(self, child: Child) -> None:
        code = child.process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        super().__init__(f"{child.name} {how}; the end of {child.log}:\n{child.last_words()}")
        self.child = child


class Stack:
    """The children of one run, in `.bide/<name>`; a context manager that leaves none behind."""

    def __init__(self, root: Path, name: str, attention: Attention) -> None:
        self.root, self.name, self.attention = root, name, attention
        self.folder = root / ".bide" / name
        self._servers: list[Child] = []
        self._processes: list[Child] = []
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(self.folder / "lock", self.name)
        shutil.rmtree(self.folder / "logs", ignore_errors=True)
        (self.folder / "logs").mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        (self.folder / STATE_FILE).unlink(missing_ok=True)
        if self._lock:
            self._lock.close()

    def data(self, name: str) -> Path:
        """A folder of this stack for the data of one child."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], *, serves: bool) -> Child:
        """Start a child; one that `serves` the others ends after them. Raises `StackError` where it can't be run."""
        self.attention.check()
        try:
            child = spawn(name, command, env=env, folder=self.root, log=self.folder / "logs" / f"{name}.log")
        except OSError as error:
            raise StackError(f"{name} can't be started: {command[0]}: {error.strerror}") from error
        (self._servers if serves else self._processes).append(child)
        return child

    def forget(self, server: Child) -> None:
        """Take a server that has ended from the list: another one takes its place."""
        server.kill()
        self._servers.remove(server)

    def wait_for(self, child: Child, pattern: str) -> re.Match[str]:
        """Wait until `child` writes `pattern`; raises `StackError` if it dies or takes too long, `Stopped`."""
        until = time.monotonic() + READY_SECONDS
        while not (found := re.search(pattern, child.output())):
            if not child.alive:
                raise ChildDiedError(child)
            if time.monotonic() > until:
                slow = f"{child.name} is not ready after {READY_SECONDS:g} s"
                raise StackError(f"{slow}; the end of {child.log}:\n{child.last_words()}")
            self.attention.sleep()
        return found

    def check(self) -> None:
        """Raise `ChildDiedError` if one is gone, `Stopped` if a signal came."""
        self.attention.check()
        for child in (*self._servers, *self._processes):
            if not child.alive:
                raise ChildDiedError(child)

    def publish(self, state: Mapping[str, object]) -> None:
        """Write down, for this user only, how to reach the stack."""
        write_private(self.folder / STATE_FILE, json.dumps({"pid": os.getpid(), **state}, indent=2))

    def stop(self) -> None:
        """End all children: first those that work, then those that serve them."""
        for wave in (self._processes, self._servers):
            self._end(wave)
            wave.clear()

    def _end(self, wave: list[Child]) -> None:
        until = time.monotonic() + GRACE_SECONDS
        for child in wave:
            child.ask_to_end()
        while any(child.alive for child in wave) and time.monotonic() < until and not self.attention.hurried:
            time.sleep(0.02)
        for child in wave:
            child.kill()


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user may read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _locked(path: Path, name: str) -> IO[str]:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StackError(f"`bide {name}` runs in this folder already; end it first (Ctrl-C in its terminal)") from None
    return file
