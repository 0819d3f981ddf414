"""Fetches pictures for the steps of jobs: outputs from a provider, and inputs that a request names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from bide.contract import GenerateRequest, object_key
from bide.ledger import Record
from bide.providers import find
from bide.providers.base import Media, Operation, Upload
from bide.providers.offering import PICTURES, MediaKind, is_written, with_role
from bide.storage import Storage
from workers.accounts import AccountContext
from workers.io.http import HttpClient
from workers.io.inputs import InputFetcher
from workers.io.media import Fetched, download, from_bytes
from workers.io.origin import OriginHeaders
from workers.services.event_loop import EventLoop

#: How long a provider may fetch an input of ours [seconds]: a day, since it may start late.
INPUT_URL_SECONDS = 24 * 3600


class Fetcher:
    """May be used from any thread; what it fetches runs on the event loop."""

    def __init__(self, http: HttpClient, storage: Storage, event_loop: EventLoop, *, max_bytes: int) -> None:
        self._http, self._storage, self._event_loop = http, storage, event_loop
        self._max_bytes = max_bytes

    def output(self, media: Media, account: AccountContext, record: Record) -> Fetched:
        """Download or take one output of a job, checked; raises `DownloadError` or `BadMediaError`."""
        work = download(
            self._http,
            media,
            max_bytes=self._max_bytes,
            allowed_hosts=account.media_hosts,
            kinds=_kinds_of(record),
            own_headers=_own_headers(account, record),
        )
        return self._event_loop.run(work)

    def kept(self, media: Media, record: Record) -> Fetched:
        """An output of a job that was stored before its step; raises `StorageError` or `BadMediaError`."""
        content = self._storage.get(media.url, max_bytes=self._max_bytes)
        kinds = with_role(_kinds_of(record), media.role)
        return from_bytes(content, max_bytes=self._max_bytes, kinds=kinds, written=is_written(media.role, kinds))

    def inputs(
        self,
        request: GenerateRequest,
        operation: Operation,
        record: Record,
        account: AccountContext,
        *,
        signed_at: datetime | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> dict[str, Upload]:
        """The pictures of a request in the form its operation wants; raises `InvalidRequestError`, `TryLaterError`.

        `signed_at`: the moment as of which addresses of our objects are signed, so that they are the same again.
        `metadata`: that of what is stored.
        """
        assert operation.inputs is not None  # noqa: S101 - `Provider.check` refuses inputs where there is no form
        created = record.moment("created") or datetime.now(UTC)
        fetcher = InputFetcher(
            self._http,
            self._storage,
            max_bytes=self._max_bytes,
            url_expires_seconds=INPUT_URL_SECONDS,
            allowed_hosts=account.media_hosts,
            signed_at=signed_at,
            retention_days=account.retention.days_of(request),
            metadata=metadata or {},
        )

        def key_for(name: str) -> str:
            return object_key(record.job_id, f"inputs/{name}", created_at=created, prefix=request.output_prefix)

        return self._event_loop.run(fetcher.prepare(request.inputs, operation.inputs, key_for=key_for))


def _kinds_of(record: Record) -> frozenset[MediaKind]:
    """What the outputs of a job may be; of an operation that its adapter no longer has, pictures and videos."""
    operation = find(record.account.provider).operations.get(record.text("op"))
    return operation.kinds if operation else PICTURES


def _own_headers(account: AccountContext, record: Record) -> OriginHeaders:
    """The adapter's headers for downloads from where the job was bought."""
    bought_at = account.anywhere.at(record.text("base_url"))
    return OriginHeaders(bought_at.base_url, account.adapter.media_headers(bought_at))
