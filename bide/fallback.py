"""The fallbacks of a request: accounts at which its job goes on, each once the one before surely did not make it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, JsonValue

from bide.errors import InvalidRequestError
from bide.wire import Name, Wire

#: The most fallbacks of a request.
MOST_FALLBACKS = 3


class Fallback(Wire):
    """Another account that may make the job, with an operation and params of its own; the rest is the request's."""

    provider: Name
    operation: Name
    params: dict[str, JsonValue] = Field(default_factory=dict)
    account: Name = "default"
    #: Whether it is tried also where an account before it has charged for its failure, or may have.
    after_charge: bool = False


def listed(value: object) -> object:
    """Refuse what is no list of fallbacks, in words that pydantic lacks."""
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of fallbacks")  # noqa: TRY004 - the error that pydantic reports
    if len(value) > MOST_FALLBACKS:
        raise ValueError(f"names {len(value)} fallbacks, and {MOST_FALLBACKS} are the most; leave some out")
    return value


def check_accounts(own: tuple[str, str], fallbacks: Iterable[Fallback]) -> None:
    """Raise `InvalidRequestError` where two of a request's accounts are one; `own`: its first provider and account.

    A job has one record at each account, so that no account is tried twice.
    """
    names = {own: "the request's own account"}
    for place, each in enumerate(fallbacks):
        account = (each.provider, each.account)
        if account in names:
            raise InvalidRequestError(
                f"fallbacks.{place}.account: {'/'.join(account)} is {names[account]}; a fallback goes to an account "
                "that the request does not name yet: take another account or provider, or leave this fallback out"
            )
        names[account] = f"that of fallbacks.{place}"
