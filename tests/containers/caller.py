"""`python -m tests.containers.caller SECRETS submit|states|fetch`: a service on the machine, by the published ports.

It reads JSON and writes JSON. `submit` takes requests and gives ids, `states` takes ids and gives their jobs' states,
`fetch` takes ids and gives for each output whether its object is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from bide.client import Client, PresignedResult, object_store

#: What is bound on the machine for each port of a container.
VALKEY, STORE = "127.0.0.1:6379", "http://127.0.0.1:8333"


def main(secrets: Path, what: str) -> None:
    """Do one thing for all that standard input lists."""
    given = json.load(sys.stdin)
    url = (secrets / "redis_url").read_text().strip().replace("valkey:6379", VALKEY)
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(secrets / "aws_credentials")
    with Client(url, uploads=object_store("bide", endpoint_url=STORE, region="us-east-1")) as client:
        match what:
            case "submit":
                found: Any = [client.submit(request) for request in given]
            case "states":
                known = {job_id: client.status(job_id) for job_id in given}
                found = {job_id: status.state if status else "unknown" for job_id, status in known.items()}
            case "fetch":
                found = {job_id: _fetched(client.result(job_id, presign_seconds=60)) for job_id in given}
    json.dump(found, sys.stdout)


def _fetched(result: PresignedResult | None) -> list[bool]:
    """For each output, whether the object in the store is what the result says."""
    assert result is not None
    found = []
    for output in result.outputs:
        with urllib.request.urlopen(output.url, timeout=30) as answer:
            content = answer.read()
        found.append((hashlib.sha256(content).hexdigest(), len(content)) == (output.sha256, output.size))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
