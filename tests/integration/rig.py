"""A whole deployment for tests: Redis, object storage, the simulated providers, and the Procfile's processes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from bide.ledger import AccountName, Ledger
from bide.ledger.connection import connect
from sandbox.running import Sandbox
from tests.integration.object_store import ObjectStore
from tests.integration.processes import Process, plain_environment
from tests.integration.servers import RedisServer

#: Mean time of a job at the simulated providers [seconds].
LATENCY_SECONDS = 1.0

#: The most of a log that is shown beside a failure.
SHOWN_CHARACTERS = 20_000

#: Short clocks, so that repairs can be waited for.
CLOCKS = {
    "BIDE_TIMING__LEASE_SECONDS": "3",
    "BIDE_TIMING__SWEEP_SECONDS": "1",
    "BIDE_TIMING__CONNECT_TIMEOUT_SECONDS": "2",
    "BIDE_TIMING__READ_TIMEOUT_SECONDS": "3",
    "BIDE_TIMING__SUBMIT_TIMEOUT_SECONDS": "15",
}

POLLS = {"POLL_FIRST_SECONDS": "0.5", "POLL_FACTOR": "1.5", "POLL_CAP_SECONDS": "2"}

#: Keys of the accounts. Nextry has none for its default account, `main` is the one that works.
KEYS = {
    "CYBERPHOTOBOOTH__API_KEY": "key-of-cyberphotobooth",
    "DREAMBOOTH__API_KEY": "key-of-dreambooth",
    "FAL__API_KEY": "key-of-fal",
    "REPLICATE__API_KEY": "key-of-replicate",
    "NEXTRY__ACCOUNTS__MAIN__API_KEY": "key-of-nextry",
    "PHOTOGPT__API_KEY": "key-of-photogpt",
    "BFL__API_KEY": "key-of-bfl",
    "COMFYUI__API_KEY": "key-of-a-proxy",
    "OPENAI_VIDEOS__API_KEY": "key-of-openai-videos",
    "PHOTOGPT__ACCOUNTS__REFUSED__API_KEY": "bad-key",
    "PHOTOGPT__ACCOUNTS__SMALL__API_KEY": "key-of-small",
    "PHOTOGPT__ACCOUNTS__SMALL__MAX_IN_FLIGHT": "2",
    "PHOTOGPT__ACCOUNTS__SINGLE__API_KEY": "key-of-single",
    "PHOTOGPT__ACCOUNTS__SINGLE__MAX_IN_FLIGHT": "1",
    "PHOTOGPT__ACCOUNTS__SLOW__API_KEY": "key-of-slow",
    "PHOTOGPT__ACCOUNTS__SLOW__SUBMITS_PER_SECOND": "2",
    "PHOTOGPT__ACCOUNTS__BLOCKED__API_KEY": "key-of-blocked",
    "PHOTOGPT__ACCOUNTS__TRIPPED__API_KEY": "key-of-tripped",
    # Where jobs are counted nobody else may have any.
    "PHOTOGPT__ACCOUNTS__METERED__API_KEY": "key-of-metered",
    # A job that hears of no credit or a bad key pauses its account: each such case has one of its own.
    "PHOTOGPT__ACCOUNTS__BROKE__API_KEY": "key-of-broke",
    "PHOTOGPT__ACCOUNTS__LOCKED__API_KEY": "key-of-locked",
    "PHOTOGPT__ACCOUNTS__MENDED__API_KEY": "key-of-mended",
    "PHOTOGPT__ACCOUNTS__FAILING__API_KEY": "key-of-failing",
    "PHOTOGPT__ACCOUNTS__LEFT__API_KEY": "bad-key",
    # Nothing listens at its address.
    "PHOTOGPT__ACCOUNTS__DOWN__API_KEY": "key-of-down",
    "PHOTOGPT__ACCOUNTS__DOWN__BASE_URL": "http://127.0.0.1:1",
    "PHOTOGPT__ACCOUNTS__LEARNING__API_KEY": "key-of-learning",
    "PHOTOGPT__ACCOUNTS__LEARNING__POLL_FIRST_SECONDS": "0.25",
    "PHOTOGPT__ACCOUNTS__LEARNING__POLL_FACTOR": "2",
    "PHOTOGPT__ACCOUNTS__LEARNING__POLL_CAP_SECONDS": "4",
}

#: Those that the sandbox plays here.
PROVIDERS = (
    *("cyberphotobooth", "dreambooth", "fal", "nextry", "photogpt", "replicate"),
    *("bfl", "comfyui", "openai_videos"),
)

#: What callbacks are signed with.
CALLBACK_SECRET = "whsec_c2VjcmV0LW9mLXRoZS1yaWctMDEyMzQ1Njc4OQ=="

FLOWER_USER, FLOWER_PASSWORD = "operator", "hush-flower"


def start_servers(stack: ExitStack, redis: RedisServer, sandbox: Sandbox, store: ObjectStore) -> None:
    """Start the servers of a deployment; the stack ends them."""
    stack.callback(redis.kill)
    redis.start()
    stack.enter_context(sandbox)
    stack.callback(store.process.kill)
    store.process.start()


class Rig:
    """`with Rig(folder) as rig: ...`: everything runs, and everything ends with the block.

    With `result_bytes` one picture of that size is drawn of each kind, instead of one for each job. `settings` are
    further variables of all processes.
    """

    def __init__(
        self, folder: Path, *, result_bytes: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self._folder, self._settings = folder, settings or {}
        self._stack = ExitStack()
        self._seen: dict[str, int] = {}
        (folder / "redis").mkdir()
        self.redis = RedisServer(folder / "redis", appendonly=True)
        self.store = ObjectStore(folder)
        self.sandbox = Sandbox(
            latency_seconds=LATENCY_SECONDS, result_bytes=result_bytes, journal=folder / "purchases.jsonl"
        )

    def __enter__(self) -> Self:
        with self._stack:
            self._start_servers()
            for process in (self.worker, self.poller):
                self._stack.callback(process.kill)
                process.start()
            self._stack = self._stack.pop_all()
        return self

    def _start_servers(self) -> None:
        start_servers(self._stack, self.redis, self.sandbox, self.store)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def mend(self) -> None:
        """Start again what a test has ended."""
        if not self.redis.alive:
            self.redis.start()
        for process in (self.store.process, self.worker, self.poller):
            if not process.alive:
                process.start()

    @cached_property
    def worker(self) -> Process:
        return self.process("worker", ready=r"worker-\d+@\S+ ready")

    @cached_property
    def poller(self) -> Process:
        return self.process("poller", ready=r"poller-\d+@\S+ ready")

    @cached_property
    def flower(self) -> Process:
        """Not started: what it says when it serves holds its address."""
        flower = self.process("flower", ready=r"Visit me at (http://[\w.:]+)")
        self._stack.callback(flower.kill)
        return flower

    @property
    def flower_address(self) -> str:
        """Flower's, which is started where it does not run."""
        if not self.flower.alive:
            self.flower.start()
        addresses: list[str] = re.findall(r"Visit me at (http://[\w.:]+)", self.flower.output())
        return addresses[-1]

    @cached_property
    def pages(self) -> Process:
        """Not started: what it says when it serves holds its address."""
        pages = self.process("pages", ready=r"pages at (http://\S+)")
        self._stack.callback(pages.kill)
        return pages

    def process(self, name: str, *, ready: str) -> Process:
        """A line of the Procfile with the environment of this deployment."""
        return Process.of_procfile(name, env=self.environment(), ready=ready, folder=self._folder)

    def environment(self) -> dict[str, str]:
        """The settings of the processes."""
        providers = {f"BIDE_PROVIDERS__{name}": value for name, value in {**KEYS, **self._addresses()}.items()}
        flower = {"BIDE_FLOWER__USER": FLOWER_USER, "BIDE_FLOWER__PASSWORD": FLOWER_PASSWORD, "PORT": "0"}
        flower |= {"BIDE_PAGES__PORT": "0"}
        own = {"BIDE_BROKER_URL": self.redis.url, "BIDE_LOG__FORMAT": "json"}
        own |= {"BIDE_CALLBACKS__SECRET": CALLBACK_SECRET, "BIDE_CALLBACKS__ALLOWED_HOSTS": '["127.0.0.1"]'}
        return {
            **plain_environment(),
            **own,
            **CLOCKS,
            **self.store.environment(),
            **providers,
            **flower,
            **self._settings,
        }

    def _addresses(self) -> dict[str, str]:
        hosts = json.dumps([f"127.0.0.1:{self.sandbox.port}"])
        addresses: dict[str, str] = {}
        for provider in PROVIDERS:
            values = {"BASE_URL": self.sandbox.url(provider), "MEDIA_HOSTS": hosts, **POLLS}
            addresses |= {f"{provider.upper()}__{name}": value for name, value in values.items()}
        return addresses

    # What happened

    def purchases(self, marked: str) -> list[dict[str, Any]]:
        """What was bought by prompts that hold a marker, oldest first."""
        return [bought for bought in self.sandbox.purchases() if marked in bought["reference"]]

    def server(self) -> redis.Redis:
        """A new connection to the Redis."""
        return connect(self.redis.url)

    def counts(self) -> dict[str, int]:
        """How many jobs stand on each clock and list, over all accounts."""
        totals: dict[str, int] = {}
        with self.server() as server:
            ledger = Ledger(server)
            for account in ledger.accounts.names():
                for name, number in ledger.accounts.count_clocks(account).items():
                    totals[name] = totals.get(name, 0) + number
        return totals

    def state(self, job_id: str, account: str = "default", provider: str = "photogpt") -> str:
        """The state in a job's record; '' where there is none."""
        with self.server() as server:
            record = Ledger(server).jobs.read(AccountName(provider, account), job_id)
        return record.fields["state"] if record else ""

    def logs(self) -> list[tuple[str, str]]:
        """What the processes wrote since the last call of `mark_logs`."""
        written = {each.name: each.output(since=self._seen.get(each.name, 0)) for each in self._logging()}
        return [(f"log of {name}", text[-SHOWN_CHARACTERS:]) for name, text in written.items()]

    def mark_logs(self) -> None:
        """A test begins: what was written before is not its own."""
        self._seen = {each.name: each.written_bytes for each in self._logging()}

    def _logging(self) -> list[Process]:
        return [each for name in ("worker", "poller", "flower", "pages") if (each := vars(self).get(name))]
