"""The lane of a request, as records, circuit breakers and duration models have it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from bide.printable import plain
from bide.providers.base import Provider

#: The longest lane [characters]: Redis packs a record while none of its values is longer.
LANE_CHARACTERS = 64

#: What stands in a lane for the end of a longer text [characters].
_DIGEST_CHARACTERS = 12


def lane_of(adapter: Provider, operation: str, params: Mapping[str, Any]) -> str:
    """The lane of params that pass the adapter's check: one printable line, '' for none.

    A text that is too long keeps its beginning, and gets a digest of the whole, so that two lanes stay two.
    """
    text = whole_lane_of(adapter, operation, params)
    if len(text) <= LANE_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{text[: LANE_CHARACTERS - _DIGEST_CHARACTERS - 1]}~{digest}"


def whole_lane_of(adapter: Provider, operation: str, params: Mapping[str, Any]) -> str:
    """The lane as the adapter names it, in one printable line; '' for none.

    An adapter that names none, or breaks, leaves the job to its operation: no job should be lost for its lane.
    """
    try:
        return plain(adapter.lane(operation, params))
    except Exception:  # of an adapter's own code; its contract test shows it
        return ""
