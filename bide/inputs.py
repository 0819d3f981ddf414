"""The forms of a request's inputs: an address, a data URI, or bare base64."""

from __future__ import annotations

import re

#: The schemes of addresses and data URIs, in any case.
_SCHEME = re.compile(r"(?:s3://|https?://|data:)", re.IGNORECASE)


def tidied(value: str) -> str:
    """An input without blanks around an address or a data URI, and with its scheme in small letters.

    All else of it stays as it is: `  HTTPS://Example.com/A?b` is `https://Example.com/A?b`.
    """
    text = value.strip()
    scheme = _SCHEME.match(text)
    return scheme[0].lower() + text[scheme.end() :] if scheme else value


def is_address(value: str) -> bool:
    """Whether a tidied input says where a picture lies."""
    return value.startswith(("s3://", "http://", "https://"))
