"""Takes an account's secrets out of what its provider says: providers quote back what they got.

Also what was made of them: a basic header, a token, an address with a key in its query.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

from bide.errors import BideError
from bide.providers.exchange import Account

#: What stands in a message where a secret of the account was.
MASK = "***"

#: A JSON Web Token, whose bearer needs no key; a provider may cut it off anywhere in its last parts.
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,2}")

#: What may be base64 of a secret; a shorter one than the basic header of an empty name and a key of eight is none.
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_URL_SAFE = str.maketrans("-_", "+/")


def hidden(text: str, account: Account) -> str:
    """The text without the secrets of the account, in any form that they take in a call."""
    text = account.hooks.hidden(text) if account.hooks else text
    secrets = sorted(filter(None, (account.api_key, *account.secrets.values())), key=len, reverse=True)
    for secret in secrets:
        for form in dict.fromkeys(_forms(secret)):
            text = text.replace(form, MASK)
    text = _TOKEN.sub(MASK, text)
    return _BASE64.sub(lambda found: MASK if _encodes(found[0], secrets) else found[0], text) if secrets else text


def _forms(secret: str) -> Iterator[str]:
    """A secret as it stands in a text: bare, in an address, in JSON, also in that of PHP."""
    in_json = json.dumps(secret)[1:-1]
    yield from (secret, quote(secret, safe=""), quote_plus(secret), in_json, in_json.replace("/", "\\/"))


def _encodes(text: str, secrets: list[str]) -> bool:
    """Whether a text is base64 with one of the secrets in it, as in a basic header."""
    digits = text.translate(_URL_SAFE).rstrip("=")
    content = base64.b64decode(digits[: len(digits) // 4 * 4] + _rest(digits))
    return any(secret.encode() in content for secret in secrets)


def _rest(digits: str) -> str:
    """The last digits of base64, padded; '' where they are no whole byte."""
    rest = digits[len(digits) // 4 * 4 :]
    return rest + "=" * (4 - len(rest)) if len(rest) > 1 else ""


@contextmanager
def hiding(account: Account) -> Iterator[None]:
    """No error leaves with a secret of the account in it."""
    try:
        yield
    except BideError as error:
        error.args = tuple(hidden(part, account) if isinstance(part, str) else part for part in error.args)
        raise
