"""The check of a request at each of its accounts, before anything is bought."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError

Found = TypeVar("Found")


def check_in_turn(request: GenerateRequest, check: Callable[[GenerateRequest], Found]) -> Found:
    """What `check` gives for the request itself; its fallbacks pass the same check, each as the whole request.

    Raises the `InvalidRequestError` of the check, with the fallback's place in front.
    """
    first, *fallbacks = request.in_turn()
    found = check(first)
    for place, each in enumerate(fallbacks):
        try:
            check(each)
        except InvalidRequestError as error:
            raise InvalidRequestError(
                f"fallbacks.{place}: {error}", redacted=f"fallbacks.{place}: {error.redacted}"
            ) from None
    return found
