"""What a callback says, and how it is signed: Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from standardwebhooks import Webhook

from bide.contract import CallbackEvent, JobResult, JobState
from bide.ledger import Record
from bide.ledger.callbacks import webhook_id

_TYPES: dict[JobState, Literal["job.succeeded", "job.failed", "job.canceled", "job.unconfirmed"]] = {
    JobState.SUCCEEDED: "job.succeeded",
    JobState.FAILED: "job.failed",
    JobState.CANCELED: "job.canceled",
    JobState.UNCONFIRMED: "job.unconfirmed",
}


@dataclass(frozen=True)
class Delivery:
    """One callback, ready to be signed and sent; the same each time it is made of the same end."""

    url: str = field(repr=False)
    webhook_id: str
    body: str = field(repr=False)

    def headers(self, secrets: Sequence[str], *, now: datetime) -> dict[str, str]:
        """The headers of one attempt, with a signature by each secret."""
        signatures = [Webhook(secret).sign(self.webhook_id, now, self.body) for secret in secrets]
        return {
            "Content-Type": "application/json",
            "webhook-id": self.webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


def delivery_of(record: Record, number: int) -> Delivery | None:
    """The callback of a job's end `number`; None where the job has moved on or its request names no address."""
    kind = _TYPES.get(record.state) if record.following is None else None
    if kind is None or int(record.number("callback")) != number:
        return None
    url = record.request.callback_url
    return Delivery(url, webhook_id(record, number), event_of(record, kind).model_dump_json()) if url else None


def event_of(
    record: Record, kind: Literal["job.succeeded", "job.failed", "job.canceled", "job.unconfirmed"]
) -> CallbackEvent:
    """The event of an ended job."""
    succeeded = record.state is JobState.SUCCEEDED
    return CallbackEvent(
        type=kind,
        timestamp=record.moment("finished") or datetime.now(UTC),
        metadata=record.request.metadata,
        data=JobResult.model_validate_json(record.text("result")) if succeeded else record.failure,
    )
