"""How long the objects of a run stay: as long as the longest of its rows asks for, from when it is over.

A run needs its input for as long as it goes on. So its objects get their tags at its end.
"""

from __future__ import annotations

from pydantic import ValidationError

from bide.bulk import objects
from bide.bulk.names import input_key
from bide.contract import GenerateRequest
from bide.retention import Retention, tags_of
from bide.storage import Storage
from bide.storage_errors import as_storage_error

_ASKS = b'"retention_days"'


def tag_run(storage: Storage, run_id: str, retention: Retention) -> int | None:
    """Tag all objects of a run that is over; returns the days, None where a row is to stay for ever.

    Doing it twice is harmless. Raises `StorageError`, also where the store knows no tags.
    """
    days = days_of_run(storage, run_id, retention)
    if days is None:
        return None
    tags = [{"Key": name, "Value": value} for name, value in tags_of(days).items()]
    bucket = storage.options.bucket
    for key in objects.keys(storage, f"runs/{run_id}/"):
        with as_storage_error(bucket, key):
            storage.client.put_object_tagging(
                Bucket=bucket,
                Key=key,
                Tagging={"TagSet": tags},  # type: ignore[typeddict-item]  # plain mappings
            )
    return days


def days_of_run(storage: Storage, run_id: str, retention: Retention) -> int | None:
    """The longest time that a row asks for, or that holds for its operation; None where one is to stay for ever."""
    asks_for_all = retention.days is not None or bool(retention.operations)
    longest = 0
    for line in objects.lines(storage, input_key(run_id)):
        days = _days(line, retention) if asks_for_all or _ASKS in line else None
        if days is None:
            return None
        longest = max(longest, days)
    return longest or None


def _days(line: bytes, retention: Retention) -> int | None:
    try:
        return retention.days_of(GenerateRequest.model_validate_json(line))
    except ValidationError:  # a row without content, or of another version
        return retention.days
