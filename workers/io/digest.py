"""What tells whether two requests are the same: a digest of their bytes, and of the secrets that they go out with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

from bide.providers.base import Account, Call


def digest_of(call: Call, account: Account) -> str:
    """128 bits of SHA-256 over method, address, body and the account's secrets; '' where no request can be made.

    Other headers are left out: some are new with each request, such as a signed token.
    """
    digest = hashlib.sha256()
    try:
        for piece in _pieces(call, account):
            digest.update(len(piece).to_bytes(8, "big") + piece)
    except (ValueError, TypeError, RecursionError):  # the HTTP client says so when it makes the request
        return ""
    return digest.hexdigest()[:32]


def _pieces(call: Call, account: Account) -> Iterator[bytes]:
    yield from (call.method.encode(), call.url.encode(), json.dumps([*call.query.items()]).encode())
    yield json.dumps([account.api_key, *sorted(account.secrets.items())]).encode()
    yield b"" if call.json is None else json.dumps(call.json, separators=(",", ":")).encode()
    for name, part in (call.form or {}).items():
        yield name.encode()
        if isinstance(part, str):
            yield part.encode()
        else:
            file_name, content, content_type = part
            yield from (file_name.encode(), content, content_type.encode())


def repeatable(call: Call, key: str) -> Call:
    """The call, with the same bytes whenever it is sent under this key: the parts of a form have a boundary by it."""
    if call.form is None or not key:
        return call
    return replace(call, headers={**call.headers, "Content-Type": f"multipart/form-data; boundary={key}"})
