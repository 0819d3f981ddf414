"""The output of the command: all that it prints goes through here, made fit for a terminal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from bide.printable import printable, printable_json


def echo(*lines: str, mark: str = "", err: bool = False) -> None:
    """Print `lines`, each made printable. `mark` comes before the first and is printed as it is, with its colours."""
    click.echo(mark + "\n".join(map(printable, lines)), err=err)


def echo_paragraphs(paragraphs: Iterable[Iterable[str]]) -> None:
    """Print paragraphs, with a blank line between two."""
    lines = [line for paragraph in paragraphs for line in ("", *paragraph)]
    echo(*lines[1:])


def echo_json(value: Any, *, indent: int | None = 2, default: Callable[[Any], Any] | None = None) -> None:
    """Print a value as JSON."""
    echo_json_text(json.dumps(value, indent=indent, ensure_ascii=False, default=default))


def echo_json_text(text: str) -> None:
    """Print a text that is JSON."""
    click.echo(printable_json(text))


def redraw(line: str, *, last: bool, err: bool = False) -> None:
    """Print a line over the last one of a terminal, cut to its width."""
    width = shutil.get_terminal_size().columns
    click.echo(f"\r\x1b[2K{printable(line)[: width - 1]}", nl=last, err=err)


class ProblemsError(click.ClickException):
    """An error with a line for each problem; its line breaks are ours."""


class PrintableErrors(click.Command):
    """A command whose errors are made printable, too: they quote foreign texts."""

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
