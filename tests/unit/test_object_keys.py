"""Object keys: a prefix that the caller chooses never leads to another job's object, or to bide's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import contract
from bide.contract import GenerateRequest, object_key
from bide.errors import InvalidRequestError

LEAST = {"provider": "photogpt", "operation": "images.upscaling"}


@pytest.mark.parametrize(
    ("prefix", "key"), [(None, "2026/03/01/j-1/0.png"), ("tenant-a/x", "tenant-a/x/2026/03/01/j-1/0.png")]
)
def test_key_of_an_object(prefix: str | None, key: str) -> None:
    """A key is prefix, date of creation, job and name: a job stored twice has one object."""
    assert object_key("j-1", "0.png", created_at=datetime(2026, 3, 1, 23, 59, tzinfo=UTC), prefix=prefix) == key


@pytest.mark.parametrize(
    "prefix",
    [
        "runs",
        "runs/nightly-20261130T0230Z",
        "runs/r/results-00001.jsonl",
        "uploads",
        "uploads/a",
        "bide-doctor",
        "bide-doctor/a",
        "bide-ledger",
        "bide-receipts/a",
        "statements/2026",
        "2026/11/30/other-job/0.png",
        "2026/11/30/other-job/job.json/a",
        "tenant-a/2026/11/30/other-job/12.webp",
        "2026/11/30/other-job/inputs/0123456789abcdef0123456789abcdef.png/a",
    ],
)
def test_what_bide_keeps_for_itself_is_no_prefix(prefix: str) -> None:
    """A prefix may not lead among the files of runs, or to where another job's object may lie."""
    with pytest.raises(
        InvalidRequestError,
        match=rf"^output_prefix: can't begin with {', '.join(contract.RESERVED_PREFIXES)}, ",
    ):
        GenerateRequest.parse({**LEAST, "output_prefix": prefix})


@pytest.mark.parametrize(
    "prefix", ["runs-of-tenant", "runs.d", "tenant/runs", "Runs", "upload", "2026/11/30", "2026/11/30/night/second"]
)
def test_what_only_looks_like_that_is_one(prefix: str) -> None:
    """A tenant may name its folders as it likes."""
    assert GenerateRequest.parse({**LEAST, "output_prefix": prefix}).output_prefix == prefix


def test_a_record_from_before_with_such_a_prefix_is_read() -> None:
    """A record of an older release keeps its prefix: its job was bought, and is stored."""
    text = json.dumps({**LEAST, "output_prefix": "runs/other"})
    assert GenerateRequest.model_validate_json(text).output_prefix == "runs/other"


_SEGMENTS = st.sampled_from(
    ["2026", "11", "30", "a", "b", "0.png", "job.json", "inputs", "ab12.png", "runs", "uploads"]
)
_PREFIXES = st.lists(_SEGMENTS, max_size=8).map("/".join).filter(bool) | st.none()


@given(_PREFIXES, _PREFIXES, _SEGMENTS, _SEGMENTS, st.data())
def test_no_prefix_leads_to_the_object_of_another_job(
    prefix: str | None, other: str | None, job: str, another: str, data: st.DataObject
) -> None:
    """No prefix leads to another job's object, behind it, or into what bide keeps for itself."""
    try:
        prefixes = [GenerateRequest.parse({**LEAST, "output_prefix": each}).output_prefix for each in (prefix, other)]
    except InvalidRequestError:
        return
    created = datetime(2026, 11, 30, tzinfo=UTC)
    names = [data.draw(st.sampled_from(["0.png", "job.json", "inputs/ab12.png"])) for _ in prefixes]
    [mine, theirs] = [
        object_key(each, name, created_at=created, prefix=prefix)
        for each, name, prefix in zip((job, another), names, prefixes, strict=True)
    ]
    assert mine.partition("/")[0] not in contract.RESERVED_PREFIXES
    assert job == another or mine != theirs
    assert not mine.startswith(f"{theirs}/")
