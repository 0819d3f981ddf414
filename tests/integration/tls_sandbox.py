"""A sandbox that speaks TLS under a test authority, and programs that trust it: official clients insist on `https`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from sandbox.running import Sandbox

ROOT = Path(__file__).parents[2]

#: How long a session with a client may take [seconds].
SESSION_SECONDS = 60


@contextmanager
def tls_sandbox(folder: Path, *, latency_seconds: float) -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """A sandbox, and the environment in which a process trusts it."""
    authority = trustme.CA()
    server, trusted = folder / "server.pem", folder / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(server))
    authority.cert_pem.write_to_path(str(trusted))
    with Sandbox(latency_seconds=latency_seconds, certificate=server) as sandbox:
        yield sandbox, {"SSL_CERT_FILE": str(trusted)}


def played(session: str, environment: dict[str, str]) -> dict[str, Any]:
    """What a session printed as JSON: a program of its own, since clients read the environment when imported."""
    bare = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.integration.{session}"],
        cwd=ROOT,
        env={**bare, **environment},
        capture_output=True,
        text=True,
        timeout=SESSION_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
