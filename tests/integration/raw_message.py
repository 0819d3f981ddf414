"""Messages that no client library writes: what Celery's protocol has on the submit queue, byte by byte."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from bide.contract import SUBMIT_QUEUE
from tests.integration.rig import Rig


def push(rig: Rig, body: Any, **headers: Any) -> str:
    """Put one message on the submit queue; `body` is [args, kwargs, embed]. Returns the task's id."""
    return push_text(rig, json.dumps(body), **headers)


def push_text(rig: Rig, body: str, **headers: Any) -> str:
    """Put one message on the submit queue, whose body is this very text. Returns the task's id."""
    job_id = str(uuid.uuid4())
    message = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "sh", "task": "bide.generate", "id": job_id, "root_id": job_id, **headers},
        "properties": {
            "correlation_id": job_id,
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": SUBMIT_QUEUE},
            "body_encoding": "base64",
        },
    }
    with rig.server() as server:
        server.lpush(SUBMIT_QUEUE, json.dumps(message))
    return job_id
