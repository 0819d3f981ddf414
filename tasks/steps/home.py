"""Brings the outputs of a result home, one by one: what is stored stays stored, whatever becomes of the others."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

from bide.contract import Output, object_key
from bide.errors import BadMediaError, BideError, TryLaterError
from bide.ledger import Record
from bide.ledger.identity import LEDGER
from bide.ledger.records import encode_media
from bide.providers.base import Account, FetchNow, Media, PollOutcome, Provider, Succeeded, Ticket
from bide.purchases import ACCOUNT, FINGERPRINT, IDEMPOTENCY
from bide.storage import plain_name
from bide.storage_tags import put_tagged
from tasks.steps.ask import MOST_HOPS
from workers.io.destination import confined
from workers.io.media import Fetched
from workers.services.lease_keeper import Lease
from workers.toolbox import Toolbox

T = TypeVar("T")

#: The most outputs of one job that are stored: ten times what any provider makes, and a step of minutes, not of days.
MAX_OUTPUTS = 1000

#: How often a request is made at once that fails for a reason which may pass, before the whole step is put off.
TRIES_AT_ONCE = 3

#: A request that took this long is not made again at once: a worker's thread has other jobs, too [seconds].
SLOW_SECONDS = 15.0


@dataclass
class Home:
    """Which outputs of a job are stored, by their number, and why the others are not."""

    #: How many outputs there are to store, and how many there are besides.
    wanted: int = 0
    left_out: int = 0
    stored: dict[int, Output] = field(default_factory=dict)
    #: From where each of them came: a digest, for a step that goes on later.
    sources: dict[int, str] = field(default_factory=dict)
    #: Why outputs that are stored could not be checked.
    warnings: dict[int, str] = field(default_factory=dict)
    troubles: list[BideError] = field(default_factory=list)
    #: The addresses of all outputs as they were last given, for the record.
    addresses: str = ""
    #: What the provider left out of the result, '' for nothing.
    partial: str = ""
    #: Whether the store has refused the tag of an object that is to go after some days.
    untagged: bool = False

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All outputs, in order; raises the weightiest trouble where one is missing."""
        if self.troubles:
            raise next(
                (trouble for trouble in self.troubles if not isinstance(trouble, BadMediaError)), self.troubles[0]
            )
        return tuple(self.stored[number] for number in range(self.wanted))

    @property
    def stale(self) -> bool:
        """Whether the provider is to be asked for fresh addresses: one of them is refused, or gives no picture."""
        return any(isinstance(it, BadMediaError) or getattr(it, "stale", False) for it in self.troubles)

    def to_json(self) -> str:
        """What is stored, for the record."""
        return json.dumps(
            {
                number: [self.sources[number], output.model_dump(mode="json"), self.warnings.get(number, "")]
                for number, output in self.stored.items()
            },
            separators=(",", ":"),
        )


def bring_home(tools: Toolbox, record: Record, lease: Lease, home: Home) -> None:
    """Store all outputs that are not stored yet, and enter them into `home`.

    Raises `LeaseLostError`, `StorageError`, and the errors of asking the provider.
    """
    before = dict(_before(record))
    made = _made(tools, record)
    found, home.partial = made.outputs, made.partial
    home.addresses = encode_media(found, can_ask=False) if found else ""
    home.wanted, home.left_out = min(len(found), MAX_OUTPUTS), max(len(found) - MAX_OUTPUTS, 0)
    for number, media in enumerate(found[:MAX_OUTPUTS]):
        lease.check()
        source = _source(media)
        if before.get(number, ("",))[0] == source:
            _, output, warning = before[number]
        else:
            try:
                output, warning = _bring_one(tools, record, number, media, home)
            except (TryLaterError, BadMediaError) as trouble:
                home.troubles.append(trouble)
                continue
        home.stored[number], home.sources[number] = output, source
        if warning:
            home.warnings[number] = warning


def keep_inline(tools: Toolbox, record: Record, outputs: tuple[Media, ...]) -> tuple[Media, ...]:
    """Outputs that came inline and can't be asked for again, as objects under the keys of the job's result.

    Raises `BadMediaError` and `StorageError`.
    """
    kept = (
        Media(media.role, url=_bring_one(tools, record, number, media, Home())[0].uri) if media.content else media
        for number, media in enumerate(outputs[:MAX_OUTPUTS])
    )
    return tuple(kept)


def key_of(record: Record, name: str) -> str:
    """The key of one of the job's objects."""
    created = record.moment("created") or datetime.now(UTC)
    return object_key(record.job_id, name, created_at=created, prefix=record.request.output_prefix)


def retention_days(tools: Toolbox, record: Record) -> int | None:
    """For how long the job's objects stay [days]; None: for ever."""
    return tools.accounts.retention.days_of(record.request)


def metadata_of(tools: Toolbox, record: Record) -> dict[str, str]:
    """The metadata of the job's objects; a caller's that looks like ours is in the result alone."""
    own = {
        "bide-job": record.job_id,
        "bide-provider": record.account.provider,
        "bide-operation": record.text("op"),
        "bide-tenant": record.request.tenant or "",
        LEDGER: tools.ledger.identity.expected,
    }
    callers = {name: str(value) for name, value in record.request.metadata.items() if name and not is_own(name)}
    return _given(own) | callers  # ours first: what S3 has no room for is left out from the end


def document_metadata_of(tools: Toolbox, record: Record) -> dict[str, str]:
    """The metadata of `job.json`: also what makes the record again, should the ledger be lost."""
    more = {ACCOUNT: record.account.account, FINGERPRINT: record.text("fp"), IDEMPOTENCY: record.text("idem")}
    return _given(more) | metadata_of(tools, record)


def is_own(name: str) -> bool:
    """Whether a header of this name would look like one of ours."""
    plain = plain_name(name)
    return plain.startswith("bide-") or plain == "sha256"


def _given(metadata: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if value}


def _made(tools: Toolbox, record: Record) -> Succeeded:
    """The result: as recorded, or asked for again where it came inline or its addresses went stale."""
    if record.text("outputs"):
        return Succeeded(record.outputs, record.partial)
    account = tools.accounts.get(record.account)
    adapter, credentials = account.adapter, account.credentials_at(record.text("base_url"))
    ticket = record.ticket
    outcome = _asked(tools, adapter, credentials, ticket)
    for _ in range(MOST_HOPS):
        if isinstance(outcome, FetchNow):
            outcome = _asked(tools, adapter, credentials, replace(ticket, cursor=outcome.cursor))
    if isinstance(outcome, Succeeded) and (outcome.outputs or not adapter.operations[ticket.operation].has_outputs):
        return outcome
    raise TryLaterError(f"the provider reported success, and then {type(outcome).__name__.lower()} without a result")


def _asked(tools: Toolbox, adapter: Provider, account: Account, ticket: Ticket) -> PollOutcome:
    """What the provider says of the job."""
    call = confined(adapter.poll_call(ticket, account), adapter, account)
    answer = _persistently(lambda: tools.event_loop.run(tools.http.call(call, buys=False)))
    return adapter.poll_outcome(answer, ticket, account)


def _fetched(tools: Toolbox, record: Record, media: Media) -> Fetched:
    """One output, checked: from its address, or where `keep_inline` has put it, and nowhere else in the store."""
    if media.url.startswith(tools.storage.uri(key_of(record, ""))):
        return tools.fetcher.kept(media, record)
    account = tools.accounts.get(record.account)
    return _persistently(lambda: tools.fetcher.output(media, account, record))


def _bring_one(tools: Toolbox, record: Record, number: int, media: Media, home: Home) -> tuple[Output, str]:
    """One output, stored, and why it could not be checked ('' where it was)."""
    with _fetched(tools, record, media) as fetched:
        key = key_of(record, f"{number}.{fetched.ext}")
        tagged = put_tagged(
            tools.storage,
            key,
            fetched.file,
            days=retention_days(tools, record),
            content_type=fetched.content_type,
            sha256=fetched.sha256,
            metadata={"sha256": fetched.sha256, **metadata_of(tools, record)},
        )
        home.untagged = home.untagged or not tagged
        output = Output(
            uri=tools.storage.uri(key),
            bucket=tools.storage.options.bucket,
            key=key,
            content_type=fetched.content_type,
            size=fetched.size,
            sha256=fetched.sha256,
            width=fetched.width,
            height=fetched.height,
            role=media.role,
        )
        return output, fetched.warning


def _persistently(ask: Callable[[], T]) -> T:
    """What `ask` returns, at the third try at last; a time that the other side wishes for is a step's to keep."""
    for _ in range(TRIES_AT_ONCE - 1):
        began = time.monotonic()
        try:
            return ask()
        except TryLaterError as error:
            if error.after_seconds or time.monotonic() - began > SLOW_SECONDS:
                raise
    return ask()


def _before(record: Record) -> Iterator[tuple[int, tuple[str, Output, str]]]:
    """What earlier steps stored: number, then source, output, and why it could not be checked."""
    for number, (source, output, warning) in json.loads(record.text("home") or "{}").items():
        yield int(number), (source, Output.model_validate(output), warning)


def _source(media: Media) -> str:
    """What tells one output of a job from another, also at a fresh address: host and path, or the content itself."""
    parts = urlsplit(media.url) if media.url else None
    text = f"{parts.netloc}{parts.path}".encode() if parts else media.content
    return hashlib.sha256(text).hexdigest()[:16]
