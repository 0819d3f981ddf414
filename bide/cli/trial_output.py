"""What `bide providers try` shows of requests, answers and outcomes: as they are, without the account's secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bide.cli.output import echo
from bide.providers.base import Account, Answer, Call
from bide.providers.declared.summary import in_a_line
from bide.providers.masking import hidden

#: The most of a body, and of an outcome, that is shown [characters].
SHOWN_CHARACTERS, OUTCOME_CHARACTERS = 4000, 500


def show_call(call: Call, account: Account) -> None:
    """A request, with its secrets starred out, and files as their sizes."""
    query = f"?{'&'.join(f'{name}={value}' for name, value in call.query.items())}" if call.query else ""
    echo(hidden(f"-> {call.method} {call.url}{query}", account))
    for name, value in call.headers.items():
        echo(hidden(f"   {name}: {value}", account))
    if call.json is not None:
        echo(f"   {_cut(hidden(json.dumps(call.json, ensure_ascii=False), account))}")
    for name, part in (call.form or {}).items():
        value = part if isinstance(part, str) else f"{part[0]}, {part[2]}, {len(part[1])} bytes"
        echo(f"   {name} = {_cut(hidden(value, account))}")


def show_answer(answer: Answer, account: Account) -> None:
    """An answer, likewise: providers quote back what they got."""
    kind = answer.headers.get("content-type", "")
    echo(f"<- HTTP {answer.status} {kind}", f"   {_cut(hidden(answer.body.decode(errors='replace'), account))}")


def show_outcome(came: Mapping[str, Any], account: Account) -> None:
    """An outcome in a line, as `bide providers check` has it."""
    echo(f"   = {_cut(hidden(in_a_line(came), account), OUTCOME_CHARACTERS)}")


def _cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
