"""Values of options: texts that may not be empty, and dates.

`--tenant "$NAME"` without a NAME would otherwise be no condition at all.
"""

from __future__ import annotations

from datetime import UTC, datetime
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


class Moment(click.ParamType[datetime]):
    """A date or a moment by ISO 8601, in UTC where it names no offset."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no date such as 2026-11-30 or 2026-11-30T12:00:00Z", param, ctx)
