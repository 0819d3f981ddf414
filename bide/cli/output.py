"""All that the command prints goes through here: whatever prompts, sources, notes and providers' words hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from bide.printable import printable, printable_json


def echo(*lines: str, mark: str = "", err: bool = False) -> None:
    """Print each of `lines` in a line of its own; `mark` is ours, may be in colour, and stands before the first."""
    click.echo(mark + "\n".join(map(printable, lines)), err=err)


def echo_paragraphs(paragraphs: Iterable[Iterable[str]]) -> None:
    """Print the lines of each, and a blank line between two."""
    lines = [line for paragraph in paragraphs for line in ("", *paragraph)]
    echo(*lines[1:])


def echo_json(value: Any, *, indent: int | None = 2, default: Callable[[Any], Any] | None = None) -> None:
    """Print a value for a program."""
    echo_json_text(json.dumps(value, indent=indent, ensure_ascii=False, default=default))


def echo_json_text(text: str) -> None:
    """Print what is JSON already."""
    click.echo(printable_json(text))


def redraw(line: str, *, last: bool) -> None:
    """Print a line over the last one of a terminal."""
    click.echo(f"\r\x1b[2K{printable(line)}", nl=last)


class ProblemsError(click.ClickException):
    """An error that is a list of ours, with a line for each problem."""


class PrintableErrors(click.Command):
    """The errors of such a command are printed like all else: they quote what others wrote."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _printable_errors():
            return super().invoke(ctx)


@contextmanager
def _printable_errors() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        keep = "\n" if isinstance(error, ProblemsError) else ""
        error.message = printable(error.message, keep=keep)  # type: ignore[misc]  # final for those who do not print it
        raise
