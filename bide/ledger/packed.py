"""A finished record in a few hundred bytes: what explains the job as one compressed text, in parts that Redis packs.

Nothing is left out: what is unpacked is what was packed, byte for byte. The text is ASCII, with seven bits of the
compressed bytes in each character, since clients read a record as text. Its first letter names the form, and so the
dictionary.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

from bide.ledger.kept import PACKED, PART_BYTES, PARTS
from bide.ledger.packed_words import (
    ADDRESS,
    DICTIONARY,
    DIGEST,
    FIELD,
    JOB,
    PROVIDER_JOB,
    REQUEST_HEAD,
    RESULT_HEAD,
    SINCE,
    VALUE,
    joined,
)
from bide.ledger.records import AccountName, Record

#: The first letter of what this version writes.
FORM = "a"

#: Names in the packed text that are no fields of the record: what the body holds.
REQUEST, POLL_LOG = "request", "poll_log"

#: The order in which the dictionary has them, too.
_ORDER = {name: place for place, name in enumerate((*PACKED[:-1], POLL_LOG, REQUEST, PACKED[-1]))}

_RESERVED = re.compile(r"[\x00-\x08\x0e-\x1f]")

#: What nothing compresses, and takes half as bytes: it follows the compressed text.
_SHA256, _SHA256_BYTES = re.compile("[0-9a-f]{64}"), 32

#: The addresses of an output: they say one thing twice.
_ADDRESSES = re.compile(r'"uri":"s3://([^/"]+)/([^"]+)","bucket":"\1","key":"\2"')

_MOMENT = re.compile(r"[0-9]{10}\.[0-9]{3}")

#: Bytes of the compressed text that make one round number of characters.
_BYTES, _CHARACTERS = 7, 8


def pack(job_id: str, account: AccountName, provider_job_id: str, fields: Mapping[str, str]) -> str:
    """Fields as one text, '' for fields that it can't hold; the ids are those that the reader will know."""
    if any(map(_RESERVED.search, fields.values())):
        return ""
    in_order = sorted(fields, key=lambda name: _ORDER.get(name, len(_ORDER)))
    text = joined({name: _since_created(fields[name], fields, name) for name in in_order})
    for sign, head in _heads(job_id, account, provider_job_id, fields).items():
        text = text.replace(head, sign)
    if provider_job_id:
        text = text.replace(provider_job_id, PROVIDER_JOB)
    text = text.replace(job_id, JOB)
    text = _ADDRESSES.sub(rf"{ADDRESS}\1/\2{ADDRESS}", text)
    digests = bytes.fromhex("".join(_SHA256.findall(text)))
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=DICTIONARY)
    compressed = compressor.compress(_SHA256.sub(DIGEST, text).encode()) + compressor.flush()
    return FORM + _written(compressed + digests)


def part_bytes(packed: str) -> int:
    """How much of it stands in one field: little, so that Redis keeps the hash small, or all where that is too much."""
    return PART_BYTES if len(packed) <= len(PARTS) * PART_BYTES else len(packed)


def unpack(job_id: str, account: AccountName, fields: Mapping[str, str]) -> dict[str, str]:
    """A record's fields with those that are packed; a form of a later version stays as it is.

    A field that was written since goes before the packed one. A record that is not packed is given back as it is.
    """
    packed = "".join(fields[part] for part in PARTS if part in fields)
    if not packed.startswith(FORM):
        return dict(fields)
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS, zdict=DICTIONARY)
    text = decompressor.decompress(_read(packed.removeprefix(FORM))).decode()
    digests = map(bytes.hex, _split(decompressor.unused_data, _SHA256_BYTES))
    text = re.sub(DIGEST, lambda _: next(digests), text)
    text = re.sub(f"{ADDRESS}([^/]+)/([^{ADDRESS}]+){ADDRESS}", r'"uri":"s3://\1/\2","bucket":"\1","key":"\2"', text)
    provider_job_id = fields.get("pid", "")
    text = text.replace(JOB, job_id).replace(PROVIDER_JOB, provider_job_id)
    found = dict(field.split(VALUE, 1) for field in text.split(FIELD))
    heads = _heads(job_id, account, provider_job_id, found)
    for name, value in found.items():
        found[name] = _moment(value, found) if value.startswith(SINCE) else _with(heads, value)
    return found | {name: value for name, value in fields.items() if name not in PARTS}


def record_of(
    job_id: str, account: AccountName, fields: Mapping[str, str], request_json: str | None = None, poll_log: str = ""
) -> Record:
    """A record as Redis has it, packed or not; `request_json` and `poll_log` are those of its body, if it has one."""
    found = unpack(job_id, account, fields)
    packed_request, packed_log = found.pop(REQUEST, ""), found.pop(POLL_LOG, "")
    return Record(job_id, account, found, request_json or packed_request, poll_log or packed_log)


def _heads(job_id: str, account: AccountName, provider_job_id: str, fields: Mapping[str, str]) -> dict[str, str]:
    """How a result and a request begin, by the signs that stand for it: all that follows from the rest."""
    of = f'"provider":"{account.provider}","operation":"{fields.get("op", "")}",'
    return {
        RESULT_HEAD: f'{{"job_id":"{job_id}","state":"succeeded",{of}"provider_job_id":"{provider_job_id}",'
        f'"polls":{fields.get("polls", "0")},"submitted_at":"',
        REQUEST_HEAD: f"{{{of}",
    }


def _with(heads: Mapping[str, str], value: str) -> str:
    """A value with what its signs stand for."""
    for sign, head in heads.items():
        value = value.replace(sign, head)
    return value


def _since_created(value: str, fields: Mapping[str, str], name: str) -> str:
    """A moment as milliseconds since the job was opened; any other value, and that moment itself, as it is."""
    created = fields.get("created", "")
    if name == "created" or not (_MOMENT.fullmatch(value) and _MOMENT.fullmatch(created)):
        return value
    return f"{SINCE}{_milliseconds(value) - _milliseconds(created)}"


def _moment(value: str, fields: Mapping[str, str]) -> str:
    """The reverse of `_since_created`, for what that has written."""
    text = f"{_milliseconds(fields['created']) + int(value.removeprefix(SINCE)):013}"
    return f"{text[:-3]}.{text[-3:]}"


def _milliseconds(moment: str) -> int:
    return int(moment.replace(".", ""))


def _written(data: bytes) -> str:
    """Bytes as characters of seven bits."""
    length = -(-len(data) * _CHARACTERS // _BYTES)
    words = (int.from_bytes(each.ljust(_BYTES, b"\0"), "big") for each in _split(data, _BYTES))
    return bytes(word >> shift & 127 for word in words for shift in range(49, -1, -7))[:length].decode("ascii")


def _read(text: str) -> bytes:
    """The reverse of `_written`."""
    data = bytearray()
    for each in _split(text.encode("ascii"), _CHARACTERS):
        word = 0
        for character in each.ljust(_CHARACTERS, b"\0"):
            word = word << 7 | character
        data += word.to_bytes(_BYTES, "big")
    return bytes(data[: len(text) * _BYTES // _CHARACTERS])


def _split(data: bytes, size: int) -> Sequence[bytes]:
    """Pieces of so many bytes each; the last one may be shorter."""
    return [data[at : at + size] for at in range(0, len(data), size)]
