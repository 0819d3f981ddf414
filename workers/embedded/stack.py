"""A stack: the children of one run, the folder they work in, and the order in which they end."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from workers.embedded.attention import Attention
from workers.embedded.child import Child, spawn
from workers.embedded.restarts import Restarts

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
        super().__init__(f"{child.name} {child.how_it_ended()}; the end of {child.log}:\n{child.last_words()}")
        self.child = child


@dataclass(frozen=True)
class Launch:
    """How a child is started."""

    command: Sequence[str]
    env: Mapping[str, str] = field(repr=False)


class Stack:
    """The children of one run, in `.bide/<name>`; a context manager that leaves none behind."""

    def __init__(self, root: Path, name: str, attention: Attention) -> None:
        self.root, self.name, self.attention = root, name, attention
        self.folder = root / ".bide" / name
        self._servers: list[Child] = []
        self._processes: list[Child] = []
        self._launches: dict[str, Launch] = {}
        self._restarts: Restarts | None = None
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
        child = self._spawn(name, Launch(command, env))
        (self._servers if serves else self._processes).append(child)
        return child

    def pin(self, name: str, *, command: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        """Change how a child is started again: it keeps the port that the system has chosen for it."""
        launch = self._launches[name]
        self._launches[name] = Launch(command or launch.command, {**launch.env, **(env or {})})

    def supervise(self) -> None:
        """From now on start children that end again; before, the end of one is the end of the stack."""
        self._restarts = Restarts()

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
        """Raise `Stopped` if a signal came. Start children that ended again, or raise `ChildDiedError`."""
        self.attention.check()
        for wave in (self._servers, self._processes):
            for index, child in enumerate(wave):
                if child.alive:
                    continue
                if self._restarts is None:
                    raise ChildDiedError(child)
                if self._restarts.is_due(child):
                    wave[index] = self._spawn(child.name, self._launches[child.name])

    def publish(self, state: Mapping[str, object]) -> None:
        """Write down, for this user only, how to reach the stack."""
        write_private(self.folder / STATE_FILE, json.dumps({"pid": os.getpid(), **state}, indent=2))

    def stop(self) -> None:
        """End all children: first those that work, then those that serve them."""
        for wave in (self._processes, self._servers):
            self._end(wave)
            wave.clear()

    def _spawn(self, name: str, launch: Launch) -> Child:
        self._launches[name] = launch
        log = self.folder / "logs" / f"{name}.log"
        try:
            return spawn(name, launch.command, env=launch.env, folder=self.root, log=log)
        except OSError as error:
            raise StackError(f"{name} can't be started: {launch.command[0]}: {error.strerror}") from error

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
