"""Recorded answers: one JSON file each, named `{operation or catalog}--{kind}[--{detail}].json`.

Kinds are `submit`, `refused`, `poll-running`, `poll-fetch`, `poll-success`, `poll-failed`, `poll-gone`, `poll-error`,
`poll-unreadable`, `cancel` and `catalog`. A file holds what the answer is `about`, the `answer` (status, headers, and
`body` as JSON or `text`), a poll's `cursor` and `handle`, a submit's `params`, and the outcome to `expect`: of a
cancel, `what` it came to.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bide.errors import BideError
from bide.providers.base import Account, Answer, Cancels, Media, Provider, Submission, Ticket

#: The kinds of which each operation should have a sample, and all there are.
USUAL_KINDS = ("submit", "refused", "poll-running", "poll-success", "poll-failed")
KINDS = (*USUAL_KINDS, "poll-fetch", "poll-gone", "poll-error", "poll-unreadable", "cancel", "catalog")

#: What the samples of `bide providers new` are about.
MADE_UP = "made up by `bide providers new`: put a recorded answer here"


@dataclass(frozen=True)
class Sample:
    """One recorded answer and the outcome it must come to."""

    name: str
    operation: str
    kind: str
    answer: Answer
    expect: dict[str, Any]
    cursor: str = ""
    handle: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""

    @property
    def is_made_up(self) -> bool:
        return self.about == MADE_UP

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
    """All samples of one provider, in the order of their names; raises `ValueError` for a file that is none."""
    return [read(path) for path in sorted(folder.glob("*.json"))]


def read(path: Path) -> Sample:
    """One sample; raises `ValueError` with the file's name."""
    operation, _, rest = path.stem.partition("--")
    kind = rest.partition("--")[0]
    if kind not in KINDS:
        raise ValueError(f"{path.name}: is not named OPERATION--KIND.json, with KIND one of {', '.join(KINDS)}")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        answer = fields["answer"]
        body = answer["text"].encode() if "text" in answer else json.dumps(answer["body"]).encode()
        headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
        came = Answer(int(answer["status"]), headers, body)
        more = {name: fields[name] for name in ("cursor", "handle", "params", "about") if name in fields}
        return Sample(path.stem, operation, kind, came, fields.get("expect", {}), **more)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name}: is no sample ({type(error).__name__}: {error})") from None


def play(sample: Sample, adapter: Provider, account: Account) -> dict[str, Any]:
    """What an adapter makes of a sample, as its `expect` would write it."""
    if sample.kind == "catalog":
        return described(lambda: adapter.catalog_outcome(sample.operation, sample.answer, account))
    if sample.is_submit:
        submission = Submission("job", sample.operation, sample.params)
        return described(lambda: adapter.submit_outcome(sample.answer, submission, account))
    ticket = Ticket(sample.operation, "job-1", cursor=sample.cursor, seen=True, handle=sample.handle)
    if sample.kind == "cancel":
        if not isinstance(adapter, Cancels):
            return {"raises": "InvalidRequestError", "says": f"{adapter.name} has no cancel"}
        return {"is": "Canceled", "what": adapter.cancel_outcome(sample.answer, ticket, account).value}
    return described(lambda: adapter.poll_outcome(sample.answer, ticket, account))


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


def unmet(expect: dict[str, Any], came: dict[str, Any]) -> dict[str, Any]:
    """The expectations that were not met, with what came in their place."""
    texts = {"says": "says", "message_has": "message"}
    return {
        name: came
        for name, value in expect.items()
        if (value not in came.get(texts[name], "") if name in texts else came.get(name) != value)
    }


def _described_media(media: Media) -> dict[str, Any]:
    where = {"url": media.url} if media.url else {"content_base64": base64.b64encode(media.content).decode()}
    copies = {"fallback_urls": list(media.fallback_urls)} if media.fallback_urls else {}
    return {"role": media.role, **where, **copies}
