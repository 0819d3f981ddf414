"""What answers of providers come to: a submit, a poll, a cancel, and a list of recent jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bide.contract import Charged, FailureCause, FailureCode
from bide.providers.costs import Cost
from bide.providers.progress import Progress

#: How many copies of an output are remembered and tried besides its own address.
MAX_FALLBACKS = 8


# What a submit came to.


@dataclass(frozen=True)
class Submitted:
    """Accepted: the provider's id, and its estimate of the whole job if it gave one [seconds]."""

    provider_job_id: str
    estimate_seconds: float | None = None
    #: What later calls need besides the id, such as addresses: any JSON value, at most `MAX_HANDLE_BYTES` of it.
    handle: Any = field(default=None, repr=False)
    #: What it costs, where the provider says so at once.
    cost: Cost | None = None
    #: Of a submit under a key: whether the provider says that it had the key before; None where it does not say.
    replayed: bool | None = None


@dataclass(frozen=True)
class Media:
    """One output: at `url` (with `fallback_urls` holding the same bytes), or inline as `content`."""

    role: str
    url: str = ""
    content: bytes = field(default=b"", repr=False)
    fallback_urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """Accepted and already done. Without an id nothing can be asked for again: what is inline is stored at once."""

    provider_job_id: str
    outputs: tuple[Media, ...]
    #: As of `Submitted`.
    handle: Any = field(default=None, repr=False)
    #: As of `Succeeded`.
    partial: str = ""
    #: What it cost, where the provider says so.
    cost: Cost | None = None
    #: As of `Submitted`.
    replayed: bool | None = None


@dataclass(frozen=True)
class Refused:
    """Surely not accepted. `again`: the same submit may be tried later (429, 503); else the job fails with `code`."""

    code: FailureCode
    message: str
    again: bool = False
    after_seconds: float | None = None
    #: Whether any other submit of the account would be refused too: its key is, or its credit is used up.
    whole_account: bool = False
    #: Why, where the provider says it; a moderated submit gets the code `moderated` whatever `code` says.
    cause: FailureCause | None = None
    #: Some providers charge for what they refuse.
    charged: Charged | None = None


@dataclass(frozen=True)
class KeyTaken:
    """The provider has a submit under this key already: a job may exist, and the answer does not give its id.

    Unlike `Refused` it never leads to a submit under another key. `again`: the same request may be sent again under
    the same key, or the job looked up, `after_seconds` from now; else the key is of no use any more.
    """

    message: str
    again: bool = True
    after_seconds: float | None = None


# What a list of recent jobs holds.


@dataclass(frozen=True)
class Listed:
    """One job that the provider has, as its list shows it."""

    provider_job_id: str
    status: str
    created_at: datetime | None
    #: What was asked for, in the provider's words, as far as the list says it.
    about: str = ""
    credits: float | None = None
    #: Its whole prompt, where the list has that.
    prompt: str = ""
    #: Its operation, where the list tells operations apart.
    operation: str = ""
    #: Other params, as far as the list has them, by the names that a request has for them.
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Listing:
    """One page of them, the latest first; `next_page` is empty on the last."""

    jobs: tuple[Listed, ...]
    next_page: str = ""


# What a poll came to.


@dataclass(frozen=True)
class Running:
    """Still at work; `status` is the provider's own word, `cursor` what to remember for the next poll."""

    status: str
    cursor: str = ""
    #: How far it is, where the provider says so.
    progress: Progress | None = None
    #: When the provider wants to be asked again, at the earliest [seconds]; a Retry-After is taken without it.
    after_seconds: float | None = None
    #: What it costs, where the provider says so.
    cost: Cost | None = None


@dataclass(frozen=True)
class FetchNow:
    """The result is there, and another request has it: `poll_call` is asked at once for that, by this cursor."""

    cursor: str


@dataclass(frozen=True)
class Succeeded:
    """Over, with outputs."""

    outputs: tuple[Media, ...]
    #: What is missing of what was asked for, in words for people; '' where nothing is.
    partial: str = ""
    #: What it cost, where the provider says so.
    cost: Cost | None = None


@dataclass(frozen=True)
class Failed:
    """Over, without a result; cause and charge as far as the provider says them."""

    reason: str
    cause: FailureCause | None = None
    charged: Charged | None = None
    #: What it cost all the same, where the provider says so.
    cost: Cost | None = None


@dataclass(frozen=True)
class Unknown:
    """The provider does not know the job (any more)."""

    reason: str = "not found"


# What the cancel of a job came to.


class Canceled(StrEnum):
    """What the provider made of a cancel."""

    #: Surely over: no result will come.
    STOPPED = "stopped"
    #: Taken note of: the job may stop, or end well all the same.
    REQUESTED = "requested"
    #: The job had ended before.
    TOO_LATE = "too late"
    #: The answer does not say: the cancel is sent again with the next poll.
    UNKNOWN = "unknown"


SubmitOutcome = Submitted | Finished | Refused | KeyTaken
#: How a job stands, once the requests that a poll leads to are made.
JobOutcome = Running | Succeeded | Failed | Unknown
PollOutcome = JobOutcome | FetchNow
