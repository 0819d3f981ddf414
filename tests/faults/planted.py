"""A deployment in which every secret is a canary, the jobs that meet every end in it, and Flower's pages."""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import redis

from bide.providers import installed
from tests.contract.usual import request_of, secrets_of
from tests.faults.canaries import Canary
from tests.integration.caller import image, marker
from tests.integration.object_store import SECRET_KEY
from tests.integration.rig import CALLBACK_SECRET, FLOWER_USER, POLLS, Rig
from tests.integration.servers import RedisServer

REDIS_PASSWORD = f"redis-canary-{uuid.uuid4().hex}"
FLOWER_PASSWORD = f"flower-canary-{uuid.uuid4().hex}"

#: A canary for each credential of each installed provider; the keys among them, by provider.
SECRETS = {name: secrets_of(name, uuid.uuid4().hex) for name in sorted(installed())}
KEYS = {name: secrets["api_key"] for name, secrets in SECRETS.items() if "api_key" in secrets}

#: A picture of noise: a PNG whose base64 is nowhere else in the world.
PICTURE = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    + os.urandom(600)
).decode()

#: Operators see how a prompt begins (`bide.describe`); what comes after the first 60 characters is the caller's own.
PRIVATE = f'PRIVATE: "Zoë" & her brother, 50 % off / {uuid.uuid4()} {uuid.uuid4()}'

#: Where a request stands while there is work to do on it: in the ledger, and in its first message until that is done.
REQUESTS = r"^redis (bide:\{.*\}:(body|job):\S+ \.request$|bide\.submit \[|unacked \.)"

CANARIES = (
    *(Canary(f"{each} of {name}", secret) for name, secrets in SECRETS.items() for each, secret in secrets.items()),
    Canary("password of redis", REDIS_PASSWORD),
    Canary("password of flower", FLOWER_PASSWORD),
    Canary("secret key of the store", SECRET_KEY),
    Canary("secret of callbacks", CALLBACK_SECRET),
    Canary("picture", PICTURE, belongs=REQUESTS),
    Canary("private prompt", PRIVATE, belongs=REQUESTS),
)


class LockedRedis(RedisServer):
    """With a password, set once it runs: on its command line every process could read it."""

    @property
    def url(self) -> str:
        return f"redis://default:{REDIS_PASSWORD}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        super().start()
        with redis.Redis.from_url(self.url) as server:
            server.config_set("requirepass", REDIS_PASSWORD)


class PlantedRig(Rig):
    """Every secret is a canary, and the logs say all there is to say."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.redis = LockedRedis(folder / "redis", appendonly=True)

    def environment(self) -> dict[str, str]:
        hosts = json.dumps([f"127.0.0.1:{self.sandbox.port}"])
        keys: dict[str, str] = {}
        for name, secrets in SECRETS.items():
            values = {"BASE_URL": self.sandbox.url(name), "MEDIA_HOSTS": hosts, **POLLS, **secrets}
            keys |= {f"BIDE_PROVIDERS__{name}__{each}".upper(): value for each, value in values.items()}
        own = {"BIDE_FLOWER__PASSWORD": FLOWER_PASSWORD, "BIDE_LOG__LEVEL": "DEBUG"}
        return {**super().environment(), **keys, **own}


def request(order: str, **more: Any) -> dict[str, Any]:
    """A request with the private prompt, behind what an operator may see of it."""
    return image(f"{marker()} {order}".ljust(60, ".") + PRIVATE, **more)


def any_model(provider: str, operation: str, model: str, order: str = "") -> dict[str, Any]:
    """The same of a provider that runs any model, whose prompt stands in the model's input."""
    given = {"prompt": f"{order} {'fox ' * 20}{PRIVATE}"}
    return {"provider": provider, "operation": operation, "params": {"model": model, "input": given}}


PICTURES: dict[str, Any] = {"inputs": {"face": PICTURE}}

#: One job for every way to end, and every trouble on the way; by its caller's answer. Each installed provider has one
#: that succeeds: the one that its contract test names, unless an entry of its name stands here.
JOBS: dict[str, tuple[dict[str, Any], str]] = {
    **{name: (request_of(name, prompt=f"{marker()} {'fox ' * 20}{PRIVATE}"), "succeeded") for name in SECRETS},
    "nextry": (request("", provider="nextry", operation="generate_image", params={"tool": "default"}), "succeeded"),
    "cyberphotobooth": (
        {
            "provider": "cyberphotobooth",
            "operation": "generate",
            "params": {"mode": "image_text", "style": 1029, "params": {"Prompt": f"{'fox ' * 20}{PRIVATE}"}},
        },
        "succeeded",
    ),
    "fal": (any_model("fal", "run", "fal-ai/flux/dev"), "succeeded"),
    "fal, moderated": (any_model("fal", "run", "fal-ai/flux/dev", "[fault:moderated]"), "moderated"),
    "replicate": (any_model("replicate", "predict", "owner/flux"), "succeeded"),
    "replicate, failed": (any_model("replicate", "predict", "owner/flux", "[fault:fail:boom]"), "generation_failed"),
    "failed there": (request("[fault:fail:too-red]"), "generation_failed"),
    "refused": (request("[fault:refused]", account="broke"), "rejected"),
    "refused key": (request("", account="refused"), "unauthorized"),
    "unauthorized": (request("[fault:401 operation=submit]", account="locked"), "unauthorized"),
    "unconfirmed": (request("[fault:accept_then_drop]"), "submission_unknown"),
    "garbage": (request("[fault:accept_then_garbage]"), "submission_unknown"),
    "lost": (request("[fault:expired]"), "lost"),
    "bad media": (request("[fault:html]"), "bad_media"),
    "redirected": (request("[fault:redirect_to:http://127.0.0.1:9/]"), "bad_media"),
    "late": (request("[fault:never_finishes]", deadline_seconds=4), "deadline"),
    "poll trouble": (request("[fault:500 operation=poll times=2]"), "succeeded"),
    "half a poll": (request("[fault:half_json operation=poll times=2]"), "succeeded"),
    "poll refused": (request("[fault:401 operation=poll times=1]", account="blocked"), "succeeded"),
    "download again": (request("[fault:truncated times=1]"), "succeeded"),
    "invalid": (request("", operation="images.singing"), "invalid_request"),
    "invalid prompt": (request("", params={"numImages": PRIVATE}), "invalid_request"),
    "with a picture": (request("", **PICTURES), "succeeded"),
    "a spoilt picture": (request("", inputs={"face": PICTURE[400:]}), "invalid_request"),
    "misplaced picture": (request("", account=PICTURE), "invalid_request"),
    "misplaced prompt": (request("", priority=PRIVATE), "invalid_request"),
    "unknown account": (request("", account="nobody"), "invalid_request"),
    "provider is a prompt": ({"provider": PRIVATE, "operation": PRIVATE, "params": {}}, "invalid_request"),
    "odd metadata": (request("", metadata={"order": {"deep": 1}}), "succeeded"),
}


class Pages:
    """Flower, as an operator sees it."""

    def __init__(self, rig: Rig) -> None:
        [self._address] = {line for line in rig.flower.output().split() if line.startswith("http://127.0.0.1:")} or [""]
        self._header = "Basic " + base64.b64encode(f"{FLOWER_USER}:{FLOWER_PASSWORD}".encode()).decode()

    def text(self, page: str) -> str:
        """What it shows, also where it shows an error."""
        asked = urllib.request.Request(f"{self._address}{page}", headers={"Authorization": self._header})
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return str(error.read().decode())
