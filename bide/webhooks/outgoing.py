"""How a callback is signed: Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from standardwebhooks import Webhook


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
