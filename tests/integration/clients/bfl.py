"""The official client of Black Forest Labs, unmodified: what it got, as JSON.

Its own wait ends on Ready, completed and failed alone: other ends are asked for one by one, as its users have to.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import requests
from blackforest import BFLClient, BFLError
from blackforest.types.general.client_config import ClientConfig

MODEL = "flux-pro-1.1"


def main(base_url: str) -> None:
    """Submit, wait, download, fail."""
    client = BFLClient(api_key="a-key", base_url=base_url)
    config = ClientConfig(sync=True, polling_interval=0.1, timeout=20)
    made = client.generate(MODEL, {"prompt": "a red fox", "width": 512, "height": 512}, config)
    sample = requests.get(made.result["sample"], timeout=20)
    ends = {fault: ended(client, fault) for fault in ("fail:no_gpu", "moderated", "request_moderated", "expired")}
    found = {
        "made": sorted(made.result),
        "content": [sample.status_code, sample.headers["content-type"], sample.content[:2].hex()],
        "ends": ends,
        "bad key": raised(lambda: BFLClient(api_key="bad-key", base_url=base_url).generate(MODEL, {"prompt": "a"})),
    }
    sys.stdout.write("\n" + json.dumps(found))


def ended(client: BFLClient, fault: str) -> str:
    """How a job with a fault ends; the program is ended from outside where it never does."""
    task = client.generate(MODEL, {"prompt": f"a red fox [fault:{fault}]"})
    while (status := client.get_task_status(task.id).status) == "Pending":
        time.sleep(0.05)
    return str(status)


def raised(ask: Any) -> str:
    """What the client's own error says."""
    try:
        ask()
    except BFLError as error:
        return str(error)
    return "nothing"


if __name__ == "__main__":
    main(sys.argv[1])
