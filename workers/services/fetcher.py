"""Fetches pictures for the steps of jobs: outputs from a provider, and inputs that a request names."""

from __future__ import annotations

from datetime import UTC, datetime

from bide.contract import GenerateRequest, object_key
from bide.ledger import Record
from bide.providers.base import Media, Operation, Upload
from bide.storage import Storage
from workers.accounts import AccountContext
from workers.io.http import HttpClient
from workers.io.inputs import InputFetcher
from workers.io.media import SOUND_ROLE, Fetched, download, from_bytes
from workers.services.event_loop import EventLoop

#: How long a provider may fetch an input of ours [seconds]: a day, since it may start late.
INPUT_URL_SECONDS = 24 * 3600


class Fetcher:
    """May be used from any thread; what it fetches runs on the event loop."""

    def __init__(self, http: HttpClient, storage: Storage, event_loop: EventLoop, *, max_bytes: int) -> None:
        self._http, self._storage, self._event_loop = http, storage, event_loop
        self._max_bytes = max_bytes

    def output(self, media: Media, account: AccountContext) -> Fetched:
        """Download or take one output, checked; raises `DownloadError` or `BadMediaError`."""
        work = download(self._http, media, max_bytes=self._max_bytes, allowed_hosts=account.media_hosts)
        return self._event_loop.run(work)

    def kept(self, media: Media) -> Fetched:
        """An output that was stored before its step; raises `StorageError` or `BadMediaError`."""
        content = self._storage.get(media.url, max_bytes=self._max_bytes)
        return from_bytes(content, max_bytes=self._max_bytes, sound=media.role == SOUND_ROLE)

    def inputs(
        self,
        request: GenerateRequest,
        operation: Operation,
        record: Record,
        account: AccountContext,
        *,
        signed_at: datetime | None = None,
    ) -> dict[str, Upload]:
        """The pictures of a request in the form its operation wants; raises `InvalidRequestError`, `TryLaterError`.

        `signed_at`: the moment as of which addresses of our objects are signed, so that they are the same again.
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
        )

        def key_for(name: str) -> str:
            return object_key(record.job_id, f"inputs/{name}", created_at=created, prefix=request.output_prefix)

        return self._event_loop.run(fetcher.prepare(request.inputs, operation.inputs, key_for=key_for))
