"""Ids of a provider in a list that is joined by blanks: an id may have blanks itself (`include/provider_ids.lua`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

#: What stands in such a list for a blank of an id; no id has this character.
BLANK = "\x01"

#: What stands for the id of a submit in doubt: this, and the moment at which it was begun.
UNKNOWN_ID = "unknown@"


def as_word(provider_job_id: str) -> str:
    """An id as it stands in a list."""
    return provider_job_id.replace(" ", BLANK)


def joined(provider_job_ids: Iterable[str]) -> str:
    """The list of some ids."""
    return " ".join(map(as_word, provider_job_ids))


def ids_in(text: str) -> list[str]:
    """The ids of a list."""
    return [with_blanks(each) for each in text.split()]


def with_blanks(text: str) -> str:
    """A text for people in which ids stand as words."""
    return text.replace(BLANK, " ")


def unknown_id(begun: float) -> str:
    """What stands for the provider's id of a submit in doubt, begun then [seconds since the epoch]."""
    return f"{UNKNOWN_ID}{datetime.fromtimestamp(begun, UTC):%Y-%m-%dT%H:%M:%SZ}"
