"""Answers of a real job as samples: what `bide providers try --record` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bide.providers.base import Account, Answer, Ticket
from bide.providers.declared.samples import read
from bide.providers.masking import hidden

#: The kind of sample that an answer is, by its outcome; or by the error that it raises.
_KINDS: Mapping[str, str] = {
    "Submitted": "submit",
    "Finished": "submit",
    "Refused": "refused",
    "Running": "poll-running",
    "FetchNow": "poll-fetch",
    "Succeeded": "poll-success",
    "Failed": "poll-failed",
    "Unknown": "poll-gone",
    "PollFailedError": "poll-error",
}

#: The parts of an outcome that a sample expects, where they hold something.
_EXPECTED = (
    *("is", "raises", "provider_job_id", "status", "progress", "code", "reason"),
    *("outputs", "partial", "cause", "charged", "cost"),
)

#: The headers that decide something.
_HEADERS = ("content-type", "retry-after")


@dataclass(frozen=True)
class Recorder:
    """Writes samples of one operation into a folder: over made-up ones, never over others."""

    folder: Path
    operation: str
    account: Account

    def keep(self, answer: Answer, came: Mapping[str, Any], ticket: Ticket | None = None) -> Path | None:
        """The sample that was written of an answer; None where one like it is there, or it is of no kind."""
        kind = _KINDS.get(str(came.get("is") or came.get("raises")))
        file = self._free(kind, came) if kind else None
        if file is None:
            return None
        fields: dict[str, Any] = {"about": "recorded by `bide providers try`", "answer": self._answer(answer)}
        if ticket and ticket.cursor:
            fields["cursor"] = ticket.cursor
        if ticket and ticket.handle:
            fields["handle"] = ticket.handle
        fields["expect"] = {name: came[name] for name in _EXPECTED if came.get(name)}
        self.folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self._hidden(fields), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return file

    def _hidden(self, value: Any) -> Any:
        """The value without secrets in its texts, as they are before JSON writes some of their characters otherwise."""
        if isinstance(value, dict):
            return {self._hidden(name): self._hidden(entry) for name, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self._hidden(entry) for entry in value]
        return hidden(value, self.account) if isinstance(value, str) else value

    def _answer(self, answer: Answer) -> dict[str, Any]:
        headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
        try:
            return {"status": answer.status, "headers": headers, "body": json.loads(answer.body)}
        except ValueError:
            return {"status": answer.status, "headers": headers, "text": answer.body.decode(errors="replace")}

    def _free(self, kind: str, came: Mapping[str, Any]) -> Path | None:
        """The file of the kind, or that of its state; None where both are taken."""
        state = re.sub(r"[^a-z0-9]+", "_", str(came.get("status") or "").lower()).strip("_")
        names = [kind, f"{kind}--{state}"] if state else [kind]
        return next(filter(_is_free, (self.folder / f"{self.operation}--{name}.json" for name in names)), None)


def _is_free(file: Path) -> bool:
    try:
        return not file.exists() or read(file).is_made_up
    except ValueError:
        return False
