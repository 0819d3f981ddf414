"""The object store that an environment names, as commands need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from bide.settings.reader import export_store_variables

if TYPE_CHECKING:
    from bide.storage import Storage

#: The values of BIDE_S3__ADDRESSING_STYLE.
ADDRESSING_STYLES: tuple[Literal["auto", "path", "virtual"], ...] = ("auto", "path", "virtual")

Value = TypeVar("Value", bound=str)


def object_store(environment: Mapping[str, str]) -> Storage | None:
    """The deployment's object store, for inputs that are too large for a message; None where none is known."""
    bucket = environment.get("BIDE_S3__BUCKET")
    if not bucket:
        return None
    from bide.storage import Storage, StorageOptions  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.storage_digests import CHECKSUMS  # noqa: PLC0415 - slow to import, and --help does not need it

    export_store_variables(environment)
    endpoint = environment.get("BIDE_S3__ENDPOINT_URL")
    options = StorageOptions(
        bucket,
        endpoint_url=endpoint,
        public_endpoint_url=environment.get("BIDE_S3__PUBLIC_ENDPOINT_URL"),
        region=environment.get("BIDE_S3__REGION"),
        addressing_style=_one_of("BIDE_S3__ADDRESSING_STYLE", ADDRESSING_STYLES, environment),
        checksum=_one_of("BIDE_S3__CHECKSUM", CHECKSUMS, environment) or "sha256",
    )
    return Storage(options)


def _one_of(name: str, values: tuple[Value, ...], environment: Mapping[str, str]) -> Value | None:
    """The value of a variable, None where it is not set; raises `ClickException` for one that there is not."""
    given = environment.get(name)
    if given is None:
        return None
    for value in values:
        if value == given.lower():
            return value
    raise click.ClickException(f"{name}: {given} is none of {', '.join(values)}")
