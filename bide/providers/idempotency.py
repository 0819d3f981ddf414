"""How a provider takes a submit that comes a second time, where it promises anything of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Contract(StrEnum):
    """The kinds of promise."""

    #: The same key with the same body gives the same job, and buys nothing.
    REPLAY = "replay"
    #: A key that was used is refused; the job that used it can be looked up.
    REJECT = "reject"
    #: The key is the job's id at the provider: the job can be looked up by it. A second submit may buy again.
    CLIENT_ID = "client_id"


@dataclass(frozen=True)
class Idempotency:
    """A provider's promise, as its documentation gives it."""

    contract: Contract
    #: How long the provider remembers a key [seconds].
    live_seconds: float
