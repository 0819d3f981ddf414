"""The environment of a stack's children: for a demo, and for one's own deployment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from bide.providers import find
from workers.embedded.servers import HOST, SANDBOX_PATHS

#: Variables of the shell that must not reach a demo: they may name real providers, real stores, real money.
_FOREIGN = ("BIDE_", "AWS_", "FLOWER_", "CELERY_", "NANIO_")

#: A demo does not bide: how its jobs are polled.
_DEMO_POLLS = {"POLL_FIRST_SECONDS": "2", "POLL_FACTOR": "1.5", "POLL_CAP_SECONDS": "4"}

#: What two of a demo's providers cost, and how one settles doubts: docs/tutorials/money.md goes by it.
DEMO_MONEY = {
    "BIDE_PROVIDERS__REPLICATE__PRICES": '{"predict": "0.02 * (params.input.num_outputs or 1)"}',
    "BIDE_PROVIDERS__REPLICATE__SETTLE": "listing",
    "BIDE_PROVIDERS__FAL__PRICES": '{"run": "0.03 * (params.input.num_images or 1)"}',
}

#: What a demo's file of budgets has at its start.
NO_BUDGETS = "# The budgets of this demo; workers read the file again when it changes.\n"


def demo_environment() -> dict[str, str]:
    """The shell's environment without anything that concerns a deployment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN) and name != "PORT"}
    closed = {
        "DOTENV": os.devnull,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return {**kept, **closed, **unproxied(kept)}


def broker_environment(broker_url: str) -> dict[str, str]:
    """One server for messages, records and results."""
    return {"BIDE_BROKER_URL": broker_url, "BIDE_LEDGER_URL": broker_url, "BIDE_RESULT_URL": broker_url}


def sandbox_environment(address: str) -> dict[str, str]:
    """All providers, played by the sandbox at `address`."""
    variables: dict[str, str] = {}
    for provider, path in SANDBOX_PATHS.items():
        values = {
            "BASE_URL": address + path,
            **{name.upper(): f"sandbox-{provider}" for name in find(provider).credentials},
            "MEDIA_HOSTS": json.dumps([urlsplit(address).netloc]),
            **_DEMO_POLLS,
        }
        variables |= {f"BIDE_PROVIDERS__{provider.upper()}__{name}": value for name, value in values.items()}
    return variables


def unproxied(env: Mapping[str, str]) -> dict[str, str]:
    """What keeps a proxy out of the way to this machine's own servers."""
    spared = ",".join(filter(None, (env.get("NO_PROXY") or env.get("no_proxy"), HOST, "localhost")))
    return {"NO_PROXY": spared, "no_proxy": spared}
