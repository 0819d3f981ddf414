"""Which jobs are to be erased: those for which all that is asked holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """The jobs; what is left empty is not asked. One of the four must be given."""

    ids: frozenset[str] = frozenset()
    #: That of the request, or the metadata of that name.
    tenant: str = ""
    #: Names and values of metadata; a value that is no text is written as in JSON.
    metadata: tuple[tuple[str, str], ...] = ()
    #: Opened before this moment (UTC).
    before: datetime | None = None

    @property
    def by_content(self) -> bool:
        """Whether a job has to be read to know whether it is one of them."""
        return bool(self.tenant or self.metadata)

    def opened_in_time(self, created: datetime) -> bool:
        """Whether a job that was opened then may be one of them."""
        return self.before is None or created < self.before

    def takes(self, job_id: str, *, tenant: str, metadata: Mapping[str, Any]) -> bool:
        """Whether a job is one of them, as far as id, tenant and metadata say; of its age says `opened_in_time`."""
        if self.ids and job_id not in self.ids:
            return False
        if self.tenant and self.tenant not in (tenant, _written(metadata.get("tenant"))):
            return False
        return all(_written(metadata.get(name)) == value for name, value in self.metadata)

    def to_report(self) -> dict[str, Any]:
        """What was asked, for a report: digests in place of names and values, which may be those of people."""
        return {
            "jobs": len(self.ids),
            "tenant": digest(self.tenant) if self.tenant else None,
            "metadata": [digest(f"{name}={value}") for name, value in self.metadata],
            "before": self.before.astimezone(UTC).isoformat() if self.before else None,
        }


def digest(text: str) -> str:
    """What shows that two texts are the same, without the text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _written(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)
