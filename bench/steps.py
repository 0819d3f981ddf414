"""The steps of a job for contenders that block: one urllib3 pool per process, which is also what requests stands on."""

from __future__ import annotations

from functools import cache
from typing import Any

import urllib3

from bench import workload

#: Nothing here takes longer [seconds].
TIMEOUT_SECONDS = 30.0

#: Connections that are kept for the next request: one for each thread of the largest pool.
CONNECTIONS = 256


class Steps:
    """Submit, poll and store; safe to share between threads. A refusal raises `RuntimeError`."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS, headers=workload.HEADERS, retries=False, timeout=TIMEOUT_SECONDS
        )
        self._storage = workload.open_storage()
        self._dues = workload.DuesFile()

    def submit(self, name: str) -> str:
        """Buy the picture; the provider's id."""
        return workload.accepted_id(self._asked("POST", workload.submit_url(), json=workload.params(name)).json())

    def wait_seconds(self, provider_job_id: str, polls: int) -> float:
        """How long to wait for the next poll, after so many; noted as due then."""
        seconds = workload.pause_seconds(polls)
        self._dues.note_in(provider_job_id, seconds)
        return seconds

    def poll(self, provider_job_id: str) -> str | None:
        """The picture's address, None while the job runs."""
        return workload.picture_url(self._asked("GET", workload.poll_url(provider_job_id)).json())

    def store(self, name: str, url: str, polls: int) -> dict[str, Any]:
        """Fetch the picture and do both puts; the result."""
        workload.put_picture(self._storage, name, self._asked("GET", url).data)
        workload.put_record(self._storage, name, polls=polls)
        return workload.result(name, polls)

    def _asked(self, method: str, url: str, *, json: Any = None) -> urllib3.BaseHTTPResponse:
        answer = self._pool.request(method, url, json=json)
        if answer.status >= 400:
            raise RuntimeError(f"{method} {url}: {answer.status}")
        return answer


@cache
def steps() -> Steps:
    """Those of this process, made at the first job: workers fork after they import."""
    return Steps()
