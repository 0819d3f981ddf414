"""A demo's jobs on their way: each one's state, read again and again, and its files."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from bide.client import Client, Status
from bide.contract import JobResult, JobState
from workers.embedded.demo_jobs import DemoJob

#: How long a stored result may take to reach its caller once the ledger has it [seconds].
RESULT_SECONDS = 15.0


@dataclass
class JobStatus:
    """One submitted job and what is known of it."""

    job: DemoJob
    job_id: str
    since: float = field(default_factory=time.monotonic)
    status: Status | None = None
    seconds: float = 0.0

    @property
    def state(self) -> JobState:
        return self.status.state if self.status else JobState.QUEUED

    @property
    def over(self) -> bool:
        return self.state.final or self.state is JobState.UNCONFIRMED

    @property
    def succeeded(self) -> bool:
        return self.state is JobState.SUCCEEDED

    def read(self, client: Client) -> bool:
        """Read the state from the ledger; whether it is another one now."""
        if self.over:
            return False
        before = self.state
        self.status = client.status(self.job_id) or self.status
        self.seconds = time.monotonic() - self.since
        return self.state is not before

    def why(self) -> str:
        """Why it did not succeed."""
        if self.status and self.status.failure:
            return f"{self.status.failure.code}: {self.status.failure.message}"
        return f"{self.state}, {self.status.note if self.status else 'nothing is known of it'}"


def files_of(client: Client, job: JobStatus, folder: Path) -> list[Path]:
    """The stored objects of a job that succeeded, as files under the store's `folder`; raises `JobFailed`."""
    result: JobResult = client.wait(job.job_id, timeout_seconds=RESULT_SECONDS)
    return [folder / output.bucket / output.key for output in result.outputs]
