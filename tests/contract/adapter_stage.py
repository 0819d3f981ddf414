"""An adapter on a stage: its samples, and what its calls and its readings of answers come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from bide.providers import find
from bide.providers.base import (
    Account,
    Answer,
    Cancels,
    Provider,
    Submission,
    Ticket,
)
from tests.contract.samples import SAMPLES, Sample, described, load

KEY = "planted-key-0123456789"

#: Codes of a submit that was surely not accepted, and may be made again.
AGAIN_LATER = (429, 503)


class AdapterStage:
    """What the tests of an adapter ask it by."""

    name: ClassVar[str]
    submissions: ClassVar[dict[str, Submission]]
    account: ClassVar[Account] = Account("https://provider.example:8443/api/", KEY)
    #: Codes by which it refuses a submit for now; any other of `AGAIN_LATER` may hide an accepted job.
    again_later: ClassVar[tuple[int, ...]] = AGAIN_LATER
    #: Where the samples are, when not beside this file.
    samples_folder: ClassVar[Path | None] = None

    @property
    def adapter(self) -> Provider:
        return find(self.name)

    @classmethod
    def samples(cls) -> list[Sample]:
        return load(cls.samples_folder or SAMPLES / cls.name)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each test its samples or operations."""
        if "sample" in metafunc.fixturenames:
            metafunc.parametrize("sample", self.samples(), ids=lambda sample: sample.name)
        if "operation" in metafunc.fixturenames:
            metafunc.parametrize("operation", sorted(self.submissions))

    def ticket(self, operation: str, cursor: str = "") -> Ticket:
        return Ticket(operation, "job-1", cursor=cursor, seen=True)

    def play(self, sample: Sample, answer: Answer | None = None) -> dict[str, Any]:
        """Read a sample, or another answer in its place, and describe the outcome."""
        read = answer or sample.answer
        if sample.kind == "catalog":
            return self.catalogued(sample.operation, read)
        if sample.is_submit:
            return self.submitted(sample.operation, read)
        if sample.kind == "cancel":
            return self.canceled(sample.operation, read)
        return self.polled(sample.operation, read, cursor=sample.cursor)

    def submitted(self, operation: str, answer: Answer) -> dict[str, Any]:
        return described(lambda: self.adapter.submit_outcome(answer, self.submissions[operation], self.account))

    def polled(self, operation: str, answer: Answer, *, cursor: str = "") -> dict[str, Any]:
        return described(lambda: self.adapter.poll_outcome(answer, self.ticket(operation, cursor), self.account))

    def canceled(self, operation: str, answer: Answer) -> dict[str, Any]:
        adapter = self.adapter
        assert isinstance(adapter, Cancels), f"{self.name} has no cancel"
        return {"is": "Canceled", "what": adapter.cancel_outcome(answer, self.ticket(operation), self.account).value}

    def has_failed(self, ticket: Ticket) -> bool:
        return False  # what the ticket remembers may say so

    def catalogued(self, catalog: str, answer: Answer) -> dict[str, Any]:
        return described(lambda: self.adapter.catalog_outcome(catalog, answer, self.account))
