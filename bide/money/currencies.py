"""The unit of an account's money: a currency, or a provider's own unit."""

from __future__ import annotations

import re

#: The unit where nothing names another.
USD = "USD"

#: A currency of ISO 4217, such as `USD`, or a provider's own unit, such as `credits`.
UNIT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")

#: Letters of a currency's code.
_CODE_LETTERS = 3


def as_currency(text: object) -> str:
    """A unit as amounts have it: three letters are a currency's code, so that `eur` is `EUR`; raises `ValueError`."""
    if not isinstance(text, str) or not UNIT.fullmatch(text):
        raise ValueError("must be a currency such as USD, or a unit such as credits: letters, digits, _ and -")
    return text.upper() if len(text) == _CODE_LETTERS and text.isalpha() else text
