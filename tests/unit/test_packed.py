"""Packed records: nothing is lost, each field has its place, and what was packed once can be read for ever."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.contract import JobResult, Output
from bide.ledger import AccountName
from bide.ledger import kept as tables
from bide.ledger.kept import LIVE, PACKED, PART_BYTES, PARTS, PLAIN, WHOLE
from bide.ledger.packed import FORM, pack, part_bytes, record_of, unpack
from bide.ledger.packed_words import DICTIONARY
from bide.ledger.schema import FIELDS

ACCOUNT = AccountName("photogpt", "default")
JOB = "8c1f7a0e-53c1-4a57-9f0b-2a6d1c9e7b11"
PROVIDER_JOB = "f0d7c1aa-0b52-4a35-8d38-13e6a2f4c9d2"

#: What was written by the first release that packs.
FROZEN = 'aafK\x11\x04g\x08\x00\x05=\x08\x05H\x0a#p\x16\x031TfG&\x1do9\x00\x05QB%"H%Kp\x0dP$\x00'

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"), max_size=80)
MOMENTS = st.integers(0, 9_999_999_999_999).map(lambda ms: f"{ms // 1000:010}.{ms % 1000:03}")


def parts(packed: str) -> dict[str, str]:
    """The fields that hold it."""
    size = part_bytes(packed)
    return {str(at // size): packed[at : at + size] for at in range(0, len(packed), size)}


def of_a_job(
    outputs: int, *, prompt: str = "a lighthouse keeper mending a net, late October fog, gouache"
) -> dict[str, str]:
    """What is packed of a job that went well."""
    now = datetime(2026, 11, 30, 20, 15, 2, 345_000, tzinfo=UTC)
    keys = [f"2026/11/30/{JOB}/{number}.png" for number in range(outputs)]
    result = JobResult(
        job_id=JOB,
        provider="photogpt",
        operation="images.generation",
        provider_job_id=PROVIDER_JOB,
        polls=6,
        submitted_at=now,
        finished_at=now.replace(microsecond=678_901),
        outputs=tuple(
            Output(
                uri=f"s3://acme-renders/{key}",
                bucket="acme-renders",
                key=key,
                content_type="image/png",
                size=1_839_204,
                sha256=hashlib.sha256(key.encode()).hexdigest(),
                width=1440,
                height=960,
            )
            for key in keys
        ),
        metadata={"sku": "AC-04177", "batch": "autumn-12"},
    )
    request = {
        "provider": "photogpt",
        "operation": "images.generation",
        "params": {"modelID": "sdxl-lightning", "prompt": prompt, "aspectRatio": "4:5"},
        "metadata": {"sku": "AC-04177", "batch": "autumn-12"},
    }
    return {
        "op": "images.generation",
        "lane": "sdxl-lightning",
        "created": "1796069700.124",
        "deadline": "1796071500.124",
        "allowed": "1800.0",
        "submits": "1",
        "intended": "1796069700.151",
        "submitted": "1796069702.345",
        "base_url": "https://developer.photogptai.com/api",
        "adapter": "photogpt 1",
        "polls": "6",
        "ended": "1796069741.502",
        "finished": "1796069742.777",
        "note": "succeeded",
        "poll_log": "2.3 0.1 starting;5.4 0.2 processing;10.0 0.1 ;16.6 0.0 ;26.8 0.3 ;39.3 0.2 succeeded;",
        "request": json.dumps(request, separators=(",", ":")),
        "result": result.model_dump_json(),
    }


def test_every_field_has_chosen() -> None:
    """What becomes of a field at the end is a choice: a new field of the schema has to make it."""
    chosen = [*LIVE, *PLAIN, *WHOLE, *PACKED]
    assert sorted(chosen) == sorted(field.name for field in FIELDS)
    assert not {"request", "poll_log", *PARTS} & set(chosen)


def test_scripts_know_the_tables() -> None:
    """The function that scripts get names each field of the three tables that they need."""
    text = tables.in_lua()
    assert all(f" {' '.join(names)} " in text for names in (LIVE, PLAIN, WHOLE))


@pytest.mark.parametrize("outputs", [0, 1, 2, 4, 40])
def test_what_is_unpacked_is_what_was_packed(outputs: int) -> None:
    """Byte for byte, the request and the result too."""
    fields = of_a_job(outputs)
    record = record_of(JOB, ACCOUNT, {"pid": PROVIDER_JOB, **parts(pack(JOB, ACCOUNT, PROVIDER_JOB, fields))})
    assert (record.request_json, record.poll_log) == (fields.pop("request"), fields.pop("poll_log"))
    assert dict(record.fields) == {"pid": PROVIDER_JOB, **fields}


@pytest.mark.parametrize(("outputs", "most"), [(1, 360), (2, 420), (4, 520)])
def test_a_job_takes_few_bytes(outputs: int, most: int) -> None:
    """A usual job of one, two or four outputs; the bounds leave a tenth of room."""
    assert len(pack(JOB, ACCOUNT, PROVIDER_JOB, of_a_job(outputs))) <= most


def test_the_text_is_plain_ascii() -> None:
    """A client that reads it as UTF-8 gets the same bytes, and each part stays under the size that Redis packs."""
    packed = pack(JOB, ACCOUNT, PROVIDER_JOB, of_a_job(1, prompt="Zoë & 猫"))
    assert packed.isascii()
    assert max(map(len, parts(packed).values())) == PART_BYTES == 63


def test_a_long_text_stands_in_one_part() -> None:
    """A request of 100 kB is not cut into thousands of fields."""
    fields = {"request": "".join(hashlib.sha256(str(number).encode()).hexdigest()[:50] for number in range(2000))}
    found = parts(pack(JOB, ACCOUNT, "", fields))
    assert list(found) == ["0"]
    assert unpack(JOB, ACCOUNT, found) == fields


@settings(max_examples=150, deadline=None)
@given(
    fields=st.dictionaries(st.sampled_from([*PACKED, "request", "poll_log", "later_field"]), TEXTS | MOMENTS),
    created=MOMENTS | TEXTS,
    job_id=st.sampled_from([JOB, "a", "1", "job", "run.1", "created", "0" * 64]),
    provider_job_id=st.sampled_from(["", PROVIDER_JOB, "e", "1.", "p-a", "provider", "f" * 64]),
)
def test_nothing_is_lost(fields: dict[str, str], created: str, job_id: str, provider_job_id: str) -> None:
    """Whatever the ids and the fields are: ids that are words of the texts, moments of any time."""
    fields = {**fields, "created": created}
    packed = pack(job_id, ACCOUNT, provider_job_id, fields)
    plain = {"pid": provider_job_id} if provider_job_id else {}
    assert unpack(job_id, ACCOUNT, {**plain, **parts(packed)}) == {**plain, **fields}


@pytest.mark.parametrize("sign", "\x00\x03\x05\x06\x08\x0e\x1e\x1f")
def test_what_can_not_be_packed_is_left_alone(sign: str) -> None:
    """A text with one of the signs that packing uses: the record stays whole."""
    assert pack(JOB, ACCOUNT, PROVIDER_JOB, {**of_a_job(1), "note": f"odd {sign}"}) == ""


def test_what_was_written_since_goes_before() -> None:
    """A callback that was sent again, an id that came late."""
    packed = parts(pack(JOB, ACCOUNT, "", {"note": "failed", "callback_note": "HTTP 500", "cost": "2 USD"}))
    found = unpack(JOB, ACCOUNT, {**packed, "callback_note": "delivered", "pid": "late"})
    assert found == {"note": "failed", "callback_note": "delivered", "cost": "2 USD", "pid": "late"}


@pytest.mark.parametrize("fields", [{}, {"state": "queued"}, {"state": "succeeded", "0": "Z of a later release"}])
def test_what_this_version_has_not_packed_stays_as_it_is(fields: dict[str, str]) -> None:
    """A record that is not packed, and one of a later form: nothing breaks, and nothing is made up."""
    assert unpack(JOB, ACCOUNT, fields) == fields


def test_the_first_form_stays_readable() -> None:
    """Records outlive releases: what this form wrote is read by its own dictionary, which never changes."""
    assert FORM == "a"
    assert hashlib.sha256(DICTIONARY).hexdigest() == "1b2c48dace0b3f7a60b0eb2f7907d8b2594e31d6a06af4e087f3def6dd0cbe51"
    known: dict[str, Any] = unpack("job-a", ACCOUNT, {"pid": "p-a", "0": FROZEN})
    assert known == {
        "pid": "p-a",
        "op": "images.generation",
        "created": "1700000000.000",
        "finished": "1700000009.125",
        "note": "succeeded",
        "request": '{"provider":"photogpt","operation":"images.generation","params":{"prompt":"a red fox"}}',
    }
