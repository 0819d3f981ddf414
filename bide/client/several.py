"""The client of several deployments: each account stands in one of them, and so do its jobs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, TypedDict, Unpack, overload

import redis

from bide.client.follow import JobEvent
from bide.client.outputs import PresignedResult, Uploads
from bide.client.presence import UNKNOWN_SECONDS, unknown
from bide.client.requests import Options, Request, checked, checked_many
from bide.client.status import Status
from bide.client.sync import WAIT_MOST_SECONDS, Client
from bide.contract import GenerateRequest, JobResult
from bide.errors import ConfigurationError, InvalidRequestError, LedgerAwayError, UnknownJobError
from bide.pricing import RequestPrice
from bide.redis_client import SENTINEL_MASTER
from bide.settings.ledgers import Ledgers, read_ledgers


class Addresses(TypedDict):
    """Where one deployment is: arguments of `Client` and `AsyncClient`."""

    broker_url: str
    result_url: str | None
    ledger_url: str | None
    sentinel_master: str


class LedgersClient:
    """`Client` for the deployments that `BIDE_LEDGERS__<NAME>__...` names. Threads may share it.

    A request goes to the deployment whose setting `ACCOUNTS` has its account; a job is looked for in all of them. A
    ledger that is away keeps nobody from the others: only where no other has a job, its error is raised.
    """

    def __init__(self, ledgers: Ledgers, *, uploads: Uploads | None = None) -> None:
        self._ledgers, self._uploads = ledgers, uploads
        self._closed = False
        # one for each ledger: looks at one that does not answer take no thread from the others
        self._pools = {name: ThreadPoolExecutor(4, thread_name_prefix=f"ledger-{name}") for name in ledgers.names}
        self._clients = {name: Client(**addresses(ledgers, name), uploads=uploads) for name in ledgers.names}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, *, uploads: Uploads | None = None) -> Self:
        """The client of the deployments that an environment names; raises `ConfigurationError`."""
        return cls(named_ledgers(environ), uploads=uploads)

    def submit(self, request: Request, *, job_id: str | None = None, **options: Unpack[Options]) -> str:
        """Enqueue a job where its account stands; returns its id. Raises the errors of `Client.submit`.

        An idempotency key counts within one ledger. Raises `InvalidRequestError` where no ledger has the account, and
        where a fallback stands in another ledger.
        """
        parsed, _ = checked(request, options, self._uploads)
        return self._clients[self._ledgers.of_request(parsed)].submit(parsed, job_id=job_id)

    def submit_many(
        self, requests: Iterable[Request], *, job_ids: Sequence[str] | None = None, **options: Unpack[Options]
    ) -> list[str]:
        """Enqueue jobs, each where its account stands; returns their ids, in the order of the requests.

        All are checked before the first is enqueued. An error in one ledger leaves those enqueued in the ones before,
        and a note names them. Raises the errors of `Client.submit_many`.
        """
        ready = [request for request, _ in checked_many(requests, options, self._uploads)]
        if job_ids is not None and len(job_ids) != len(ready):
            raise InvalidRequestError(f"job_ids: {len(job_ids)} ids for {len(ready)} requests")
        places: dict[str, list[int]] = {}
        for place, request in enumerate(ready):
            places.setdefault(self._ledgers.of_request(request), []).append(place)
        known: dict[int, str] = {}
        for name, of_ledger in places.items():
            own = None if job_ids is None else [job_ids[place] for place in of_ledger]
            try:
                known.update(zip(of_ledger, self._send(name, of_ledger, ready, own), strict=True))
            except Exception as error:
                error.add_note(f"ledger {name}; in other ledgers {len(known)} jobs were enqueued: {[*known.values()]}")
                raise
        return [known[place] for place in range(len(ready))]

    def price(self, request: Request, **options: Unpack[Options]) -> RequestPrice:
        """Say what a request will cost where its account stands, like `Client.price`."""
        parsed, _ = checked(request, options, self._uploads)
        return self._clients[self._ledgers.of_request(parsed)].price(parsed)

    def ledger_of(self, job_id: str, *, unknown_seconds: float = 0.0) -> str:
        """The name of the ledger that has a job; raises `UnknownJobError` where none has it for `unknown_seconds`.

        Raises `LedgerAwayError` where none that answers has it, and one does not answer.
        """
        return self._ledger_within(job_id, unknown_seconds=unknown_seconds)

    def wait(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> JobResult:
        """Wait for a job's result, as `Client.wait` does."""
        begun = time.monotonic()
        bound = unknown_seconds if timeout_seconds is None else min(unknown_seconds, timeout_seconds)
        name = self._ledger_within(job_id, unknown_seconds=bound, timeout_seconds=timeout_seconds)
        client = self._clients[name]
        left = None if timeout_seconds is None else max(timeout_seconds - (time.monotonic() - begun), 0.0)
        return client.wait(job_id, timeout_seconds=left, unknown_seconds=unknown_seconds)

    @overload
    def result(self, job_id: str) -> JobResult | None: ...

    @overload
    def result(self, job_id: str, *, presign_seconds: float) -> PresignedResult | None: ...

    def result(self, job_id: str, *, presign_seconds: float | None = None) -> JobResult | None:
        """A job's result, as `Client.result` gives it; None where no ledger has the job."""
        client = self._known(job_id)
        if client is None or presign_seconds is None:
            return client.result(job_id) if client else None
        return client.result(job_id, presign_seconds=presign_seconds)

    def status(self, job_id: str) -> Status | None:
        """A job's status; None where no ledger has the job."""
        client = self._known(job_id)
        return client.status(job_id) if client else None

    def knows(self, job_id: str) -> bool:
        """Whether any ledger has a record of a job; raises `LedgerAwayError` where one that is away may have it."""
        return self._known(job_id) is not None

    def follow(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> Iterator[JobEvent]:
        """Follow a job, as `Client.follow` does."""
        client = self._clients[self.ledger_of(job_id, unknown_seconds=unknown_seconds)]
        yield from client.follow(job_id, timeout_seconds=timeout_seconds, unknown_seconds=unknown_seconds)

    def cancel(self, job_id: str) -> None:
        """Have a job canceled, as `Client.cancel` does; raises `UnknownJobError` where no ledger has it."""
        self._clients[self.ledger_of(job_id)].cancel(job_id)

    def close(self) -> None:
        """Give the connections back; a look that goes on, at a ledger that is away, gives back its own later."""
        self._closed = True
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(
        self, name: str, places: Sequence[int], ready: Sequence[GenerateRequest], job_ids: Sequence[str] | None
    ) -> list[str]:
        return self._clients[name].submit_many([ready[place] for place in places], job_ids=job_ids)

    def _known(self, job_id: str) -> Client | None:
        """The client of the ledger that has a job; None where none has. Raises `LedgerAwayError` as `ledger_of`."""
        name, away = self._holder(job_id)
        if away:
            raise away
        return self._clients[name] if name else None

    def _ledger_within(self, job_id: str, *, unknown_seconds: float, timeout_seconds: float | None = None) -> str:
        """As `ledger_of`; raises `TimeoutError` where a ledger that may have the job does not answer in time."""
        begun = time.monotonic()
        while True:
            left = None if timeout_seconds is None else begun + timeout_seconds - time.monotonic()
            name, away = self._holder(job_id, within_seconds=left)
            if name:
                return name
            if time.monotonic() - begun >= unknown_seconds:
                raise away or UnknownJobError(unknown(job_id))
            time.sleep(WAIT_MOST_SECONDS)

    def _holder(self, job_id: str, *, within_seconds: float | None = None) -> tuple[str, LedgerAwayError | None]:
        """The ledger that has a job, '' where none that answers has it; then with the error of one that is away."""
        away: LedgerAwayError | None = None
        asked: dict[Future[bool], str] = {}
        answers: SimpleQueue[Future[bool]] = SimpleQueue()  # `as_completed` never hears of what a shutdown cancels
        until = None if within_seconds is None else time.monotonic() + max(within_seconds, 0.0)
        try:
            for name, client in self._clients.items():  # all at once: one that is away takes its time
                asked[look := self._pools[name].submit(self._look, client, job_id)] = name
                look.add_done_callback(answers.put)
            for _ in range(len(asked)):
                answer = answers.get(timeout=None if until is None else max(until - time.monotonic(), 0.0))
                try:
                    if answer.result():
                        return asked[answer], None
                except (LedgerAwayError, redis.RedisError) as error:
                    away = LedgerAwayError(f"ledger {asked[answer]}: {error}")
        except (CancelledError, RuntimeError):
            if self._closed:
                raise RuntimeError("this client is closed") from None
            raise
        except Empty:
            silent = ", ".join(sorted(name for look, name in asked.items() if not look.done()))
            raise TimeoutError(f"ledger {silent} may have job {job_id!r}, and does not answer in time") from None
        finally:
            for look in asked:
                look.cancel()  # what still waits behind looks at a ledger that is away
        return "", away

    def _look(self, client: Client, job_id: str) -> bool:
        """Whether one ledger has a job."""
        try:
            return client.knows(job_id)
        finally:
            if self._closed:
                client.close()


def named_ledgers(environ: Mapping[str, str] | None) -> Ledgers:
    """The deployments that an environment names, that of the process for None; raises `ConfigurationError`."""
    ledgers = read_ledgers(os.environ if environ is None else environ)
    if ledgers is None:
        raise ConfigurationError("no ledger is named: set BIDE_LEDGERS__<NAME>__BROKER_URL and __ACCOUNTS of each")
    return ledgers


def addresses(ledgers: Ledgers, name: str) -> Addresses:
    """The arguments of a client of one of them."""
    environment = ledgers.environment(name)
    return {
        "broker_url": environment["BIDE_BROKER_URL"],
        "result_url": environment.get("BIDE_RESULT_URL"),
        "ledger_url": environment.get("BIDE_LEDGER_URL"),
        "sentinel_master": environment.get("BIDE_SENTINEL_MASTER", SENTINEL_MASTER),
    }
