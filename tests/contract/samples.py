"""Recorded answers: one JSON file each, named `{operation or catalog}--{kind}[--{detail}].json`.

Kinds are `submit`, `refused`, `poll-running`, `poll-fetch`, `poll-success`, `poll-failed`, `poll-gone`, `poll-error`,
`poll-unreadable`, `cancel` and `catalog`. A file holds what the answer is `about`, the `answer` (status, headers, and
`body` as JSON or `text`), a poll's `cursor`, and the outcome to `expect`: of a cancel, `what` it came to.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bide.errors import BideError
from bide.providers.base import Answer, Media

SAMPLES = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class Sample:
    """One recorded answer and the outcome it must come to."""

    name: str
    operation: str
    kind: str
    answer: Answer
    expect: dict[str, Any]
    cursor: str = ""

    @property
    def is_submit(self) -> bool:
        return self.kind in ("submit", "refused")

    @property
    def body(self) -> Any:
        """The body as JSON; None where it is not."""
        try:
            return json.loads(self.answer.body)
        except ValueError:
            return None


def load(folder: Path) -> list[Sample]:
    """All samples of one provider, in the order of their names."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Sample:
    fields = json.loads(path.read_text(encoding="utf-8"))
    operation, kind, *_ = path.stem.split("--")
    answer = fields["answer"]
    body = answer["text"].encode() if "text" in answer else json.dumps(answer["body"]).encode()
    read = Answer(answer["status"], answer["headers"], body)
    return Sample(path.stem, operation, kind, read, fields["expect"], fields.get("cursor", ""))


def described(ask: Callable[[], Any]) -> dict[str, Any]:
    """What `ask` came to, as a sample's `expect` would write it."""
    try:
        outcome = ask()
    except BideError as error:
        wait = getattr(error, "after_seconds", None)
        return {"raises": type(error).__name__, "says": str(error), "after_seconds": wait}
    if isinstance(outcome, list):
        return {"entries": outcome}
    fields = {"is": type(outcome).__name__, **asdict(outcome)}
    if "outputs" in fields:
        fields["outputs"] = [_described_media(media) for media in outcome.outputs]
    if cost := fields.pop("cost", None):
        fields["cost"] = f"{cost['amount']} {cost['unit']}"
    if fields.get("replayed") is None:
        fields.pop("replayed", None)
    if not fields.get("partial"):
        fields.pop("partial", None)
    return fields


def _described_media(media: Media) -> dict[str, Any]:
    where = {"url": media.url} if media.url else {"content_base64": base64.b64encode(media.content).decode()}
    copies = {"fallback_urls": list(media.fallback_urls)} if media.fallback_urls else {}
    return {"role": media.role, **where, **copies}


def unmet(expect: dict[str, Any], came: dict[str, Any]) -> dict[str, Any]:
    """The expectations that were not met, with what came in their place."""
    texts = {"says": "says", "message_has": "message"}
    return {
        name: came
        for name, value in expect.items()
        if (value not in came.get(texts[name], "") if name in texts else came.get(name) != value)
    }
