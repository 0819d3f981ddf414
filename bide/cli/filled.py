"""Values that may not be empty: `--tenant "$NAME"` without a NAME would otherwise be no condition at all."""

from __future__ import annotations

from typing import Any

import click


class Filled(click.ParamType[str]):
    """A text with something in it; an empty one is refused, and taken for none nowhere."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not str(value).strip():
            self.fail("is empty: name one, or leave it out", param, ctx)
        return str(value)


#: The type of such options and arguments.
FILLED = Filled()
