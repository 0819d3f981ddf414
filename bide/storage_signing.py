"""Addresses of objects that are signed as of a given moment: the same moment gives the same address, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: The name of this way to sign among those of botocore, which puts `-query` behind it for addresses.
SIGNER = "bide-as-of-s3v4"

#: The moment as of which the next address is signed, as it stands in an address; '' for now.
_as_of: ContextVar[str] = ContextVar("bide_signed_as_of", default="")


@contextmanager
def signed_as_of(moment: datetime | None) -> Iterator[None]:
    """Sign the addresses that are made meanwhile as of a moment in UTC; None: as of now."""
    token = _as_of.set(f"{moment:%Y%m%dT%H%M%SZ}" if moment else "")
    try:
        yield
    finally:
        _as_of.reset(token)


def offer(client: S3Client) -> None:
    """Have a client sign the addresses of objects so, where a moment is given."""
    _install()
    chooser: Any = _choose  # the stubs know no handlers that answer
    client.meta.events.register("choose-signer.s3.GetObject", chooser)


def _choose(**_: object) -> str | None:
    return SIGNER if _as_of.get() else None


@cache
def _install() -> None:
    from botocore import auth  # noqa: PLC0415 - boto3 comes by an extra

    class AsOf(auth.S3SigV4QueryAuth):
        """Botocore's own signature, with another time in it: each part of it takes the time from the context."""

        def _modify_request_before_signing(self, request: Any) -> None:
            request.context["timestamp"] = _as_of.get()
            super()._modify_request_before_signing(request)  # type: ignore[misc]  # the stubs have public names only

    auth.AUTH_TYPE_MAPS[f"{SIGNER}-query"] = AsOf
