"""Runs a stack from its first child to its last: what ends it, and the exit code that says so."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from bide.errors import BideError
from bide.printable import printable
from bide.settings.problems import ConfigurationProblems
from workers.embedded.attention import Attention, Stopped
from workers.embedded.stack import Stack, StackError
from workers.embedded.terminal import err, out


def run(root: Path, name: str, body: Callable[[Stack], int]) -> int:
    """Run `body` with a stack in `.bide/<name>`; returns its code, 1 for trouble, 128 + signal where one came."""
    attention = Attention()
    attention.listen()
    try:
        with Stack(root, name, attention) as stack:
            return _report_signals(stack, body)
    except Stopped as stopped:
        return 128 + stopped.signum
    except (StackError, ConfigurationProblems, BideError) as error:
        err.print(printable(str(error), keep="\n"), markup=False, style="red" if err.is_terminal else None)
        return 1


def until_stopped(stack: Stack, code: int) -> int:
    """Keep the stack running; a signal is its right end and gives `code`."""
    try:
        while True:
            stack.check()
            stack.attention.sleep(0.2)
    except Stopped:
        out.print("\nstopping ...")
        return code


def _report_signals(stack: Stack, body: Callable[[Stack], int]) -> int:
    try:
        return body(stack)
    except Stopped as stopped:
        out.print(f"\nstopping ({signal.Signals(stopped.signum).name}) ...")
        raise
    except BideError:
        stack.check()  # a child that died explains it better
        raise
