"""Callbacks of a stack, without a setting: a secret that signs them, and this machine's services may be called."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path

from workers.embedded.stack import Stack, write_private

#: In a stack's folder: what its callbacks are signed with, for receivers to verify by.
SECRET_FILE = "callbacks.secret"  # noqa: S105 - a name

#: How much chance is in a secret [bytes]; Standard Webhooks asks for 24 to 64.
SECRET_BYTES = 32

#: Receivers on this machine, at any port.
THIS_MACHINE = ("127.0.0.1", "localhost")


def signing(stack: Stack) -> dict[str, str]:
    """What has processes sign callbacks with a secret of the stack's own, the same one after a restart."""
    return {"BIDE_CALLBACKS__SECRET_FILE": str(secret_file(stack))}


def calling_here() -> dict[str, str]:
    """What lets callbacks go to this machine, for a stack to which only this machine can submit."""
    return {"BIDE_CALLBACKS__ALLOWED_HOSTS": json.dumps(THIS_MACHINE)}


def secret_file(stack: Stack) -> Path:
    """The file with the secret, which is made where there is none; only this user may read it."""
    file = stack.folder / SECRET_FILE
    if file.is_file() and file.read_text().strip():
        file.chmod(0o600)
    else:
        write_private(file, f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}\n")
    return file
