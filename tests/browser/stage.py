"""A deployment with Flower over it; its Redis has a password, so that there is one to look for on the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import redis

from tests.integration.object_store import SECRET_KEY
from tests.integration.rig import CALLBACK_SECRET, FLOWER_PASSWORD, KEYS, Rig
from tests.integration.servers import RedisServer, free_port

REDIS_USER, REDIS_PASSWORD = "deployment", "hush-redis"

#: What no page may show.
SECRETS = (
    *(REDIS_PASSWORD, FLOWER_PASSWORD, SECRET_KEY, CALLBACK_SECRET),
    *(key for name, key in KEYS.items() if name.endswith("API_KEY")),
)


class _GuardedRedis(RedisServer):
    """Its address holds a password."""

    _credentials = ""

    @property
    def url(self) -> str:
        return super().url.replace("//", f"//{self._credentials}", 1)

    def start(self) -> None:
        super().start()
        with redis.Redis.from_url(self.url) as server:
            server.execute_command("ACL", "SETUSER", REDIS_USER, "on", f">{REDIS_PASSWORD}", "~*", "&*", "+@all")
        self._credentials = f"{REDIS_USER}:{REDIS_PASSWORD}@"


class FlowerRig(Rig):
    """As its base; Flower runs as well, at `address`, and links to pages, which a test starts where it wants them."""

    address: str

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.redis = _GuardedRedis(folder / "redis", appendonly=True)
        self.pages_port = free_port()

    @property
    def pages_address(self) -> str:
        """Where Flower's links lead."""
        return f"http://127.0.0.1:{self.pages_port}"

    def environment(self) -> dict[str, str]:
        pages = {"BIDE_PAGES__PORT": str(self.pages_port), "BIDE_PAGES__URL": self.pages_address}
        return {**super().environment(), **pages}

    def __enter__(self) -> Self:
        super().__enter__()
        self.address = self.flower.start()[1]
        return self
