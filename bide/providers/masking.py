"""Takes an account's secrets out of what its provider says: providers quote back what they got."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bide.errors import BideError
from bide.providers.exchange import Account

#: What stands in a message where the account's key was.
MASK = "***"


def hidden(text: str, account: Account) -> str:
    """The text without the key and the webhook secret of the account."""
    text = account.hooks.hidden(text) if account.hooks else text
    return text.replace(account.api_key, MASK) if account.api_key else text


@contextmanager
def hiding(account: Account) -> Iterator[None]:
    """No error leaves with a secret of the account in it."""
    try:
        yield
    except BideError as error:
        error.args = tuple(hidden(part, account) if isinstance(part, str) else part for part in error.args)
        raise
