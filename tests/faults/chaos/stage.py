"""Where a run takes place: Redis behind a wire, object storage, the simulated providers, and the processes on hosts."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from bide.ledger import AccountName
from sandbox.running import Sandbox
from sandbox.server import BASE_PATHS
from tests import plugins
from tests.faults.chaos.budgets import BudgetFile
from tests.faults.chaos.hosts import Host
from tests.faults.chaos.proxy import Wire
from tests.integration.object_store import ObjectStore
from tests.integration.processes import ROOT, Process, plain_environment
from tests.integration.rig import start_servers
from tests.integration.servers import RedisServer

#: Mean time of a job at the simulated providers [seconds].
LATENCY_SECONDS = 4.0

#: Where a run spreads over all contracts: a dead worker's submit is looked for when it can't be under way any more.
SUBMIT_TIMEOUT_SECONDS = "10"

#: Everybody's poll schedule; all other clocks of bide are its defaults.
POLLS = {"POLL_FIRST_SECONDS": "1", "POLL_FACTOR": "1.5", "POLL_CAP_SECONDS": "4"}

PROVIDERS = ("cyberphotobooth", "dreambooth", "nextry", "photogpt")

#: The accounts that the jobs use: of the four providers, and of the guild, where a run spreads over all contracts.
ACCOUNTS = tuple(AccountName(provider, "default") for provider in PROVIDERS)
GUILD_ACCOUNTS = (AccountName("guild", "default"), AccountName("guild", "listing"))

#: The key of each account.
KEYS = {
    **{account: f"key-of-{account.provider}" for account in (*ACCOUNTS, GUILD_ACCOUNTS[0])},
    GUILD_ACCOUNTS[1]: "another-key-of-guild",
}

#: What a purchase costs, as the deployment knows it: the book is made from it. What is free costs nothing.
KNOWN_PRICES: dict[str, dict[str, float | str]] = {
    "photogpt": {"images.generation": "0.025 * params.numImages"},
    "dreambooth": {"text2img": 0.013},
    "cyberphotobooth": {"generate": 0.013},
    "nextry": {"generate_image": 0.013},
    "guild": dict.fromkeys(("replay", "reject", "client_id", "none"), 0.07),
}

#: The same as the providers charge it; the bill says what all came to.
PRICES = (
    {"provider": "guild", "operation": "free", "amount": 0},
    {"provider": "guild", "amount": "0.07"},
    {"provider": "photogpt", "amount": "0.025", "per": "output"},
    {"amount": "0.013"},
)


@dataclass(frozen=True)
class Ports:
    """Where the processes find the servers: on their host's side."""

    address: str
    broker: int
    redis: int
    store: int
    sandbox: int


class Stage:
    """`with Stage(folder, ...) as stage:`: the servers run, and everything ends with the block."""

    def __init__(self, folder: Path, *, seed: int, fsync: str, budgets: BudgetFile | None = None) -> None:
        self.folder, self.budgets = folder, budgets
        self._stack = ExitStack()
        self._seed, self.fsync = seed, fsync
        (folder / "redis").mkdir(parents=True)
        self.redis = RedisServer(folder / "redis", appendonly=True, appendfsync=fsync)
        self.store = ObjectStore(folder)
        self.sandbox = Sandbox(latency_seconds=LATENCY_SECONDS, seed=seed, journal=folder / "purchases.jsonl")
        self.processes: dict[str, Process] = {}
        self._plugins = folder / "plugins"

    @property
    def contracts(self) -> bool:
        """Whether the jobs spread over all contracts: then there are budgets, too."""
        return self.budgets is not None

    def __enter__(self) -> Self:
        with self._stack:
            start_servers(self._stack, self.redis, self.sandbox, self.store)
            self.sandbox.price(PRICES)
            if self.budgets:
                self.budgets.write()
                plugins.install(self._plugins, "guild", "tests.guild_adapter:QuickGuildAdapter")
            self.wire = self._stack.enter_context(Wire(self.redis_port, reads=True, seed=self._seed))
            self.here = Ports("127.0.0.1", self.wire.port, self.redis_port, self.store_port, self.sandbox.port)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def accounts(self) -> tuple[AccountName, ...]:
        """The accounts that the jobs use."""
        return (*ACCOUNTS, *GUILD_ACCOUNTS) if self.contracts else ACCOUNTS

    @property
    def redis_port(self) -> int:
        return int(self.redis.url.rsplit(":", 1)[1].split("/")[0])

    @property
    def store_port(self) -> int:
        return int(self.store.url.rsplit(":", 1)[1])

    def add(self, name: str, command: str, *, ready: str, env: dict[str, str], host: Host | None = None) -> None:
        """Add a process, on a host if one is given; it ends with the stage."""
        enter = host.enter if host else []
        log = self.folder / f"{name}.log"
        process = Process(name, [*enter, "bash", "-c", f"exec {command}"], env=env, ready=ready, log=log)
        self._stack.callback(process.kill)
        self.processes[name] = process

    def start(self) -> None:
        """Start all processes."""
        with ThreadPoolExecutor(len(self.processes)) as pool:
            list(pool.map(Process.start, self.processes.values()))

    def open_for(self, host_address: str) -> Ports:
        """Have the servers reached at another address of this machine too."""
        ports = {
            name: self._stack.enter_context(Wire(to, host=host_address, reads=False)).port
            for name, to in (("redis", self.redis_port), ("store", self.store_port), ("sandbox", self.sandbox.port))
        }
        self.wire = self._stack.enter_context(Wire(self.redis_port, host=host_address, reads=True, seed=self._seed))
        return Ports(host_address, self.wire.port, **ports)

    def server(self) -> redis.Redis:
        """A connection to the Redis that nothing happens to but the Redis itself."""
        return redis.Redis.from_url(self.redis.url, decode_responses=True)

    def environment(self, ports: Ports) -> dict[str, str]:
        """The environment of a deployment on a host: its addresses and keys, and no clock but the polls'."""
        at = ports.address
        addresses = {
            "BIDE_BROKER_URL": f"redis://{at}:{ports.broker}/0",
            "BIDE_RESULT_URL": f"redis://{at}:{ports.redis}/0",
            "BIDE_LEDGER_URL": f"redis://{at}:{ports.redis}/0",
            "BIDE_LOG__FORMAT": "json",
        }
        store = {**self.store.environment(), "BIDE_S3__ENDPOINT_URL": f"http://{at}:{ports.store}"}
        return {**plain_environment(), **addresses, **store, **self._providers(ports)}

    def _providers(self, ports: Ports) -> dict[str, str]:
        variables: dict[str, str] = {}
        hosts = json.dumps([f"{ports.address}:{ports.sandbox}"])
        for provider in PROVIDERS:
            url = f"http://{ports.address}:{ports.sandbox}{BASE_PATHS[provider]}"
            values = {**_known(AccountName(provider, "default")), "BASE_URL": url, "MEDIA_HOSTS": hosts, **POLLS}
            variables |= {f"BIDE_PROVIDERS__{provider.upper()}__{name}": value for name, value in values.items()}
        return variables | (self._guild(ports, hosts) if self.contracts else {})

    def _guild(self, ports: Ports, hosts: str) -> dict[str, str]:
        """The guild, with an account that settles by its list, and a submit time-out after which that is done soon."""
        url = f"http://{ports.address}:{ports.sandbox}{BASE_PATHS['guild']}"
        usual, listing = GUILD_ACCOUNTS
        own = {**_known(usual), "BASE_URL": url, "MEDIA_HOSTS": hosts, **POLLS}
        own |= {"ACCOUNTS__LISTING__API_KEY": KEYS[listing], "ACCOUNTS__LISTING__SETTLE": "listing"}
        return {
            **{f"BIDE_PROVIDERS__GUILD__{name}": value for name, value in own.items()},
            "BIDE_BUDGETS": str(self.budgets.file) if self.budgets else "",
            "BIDE_TIMING__SUBMIT_TIMEOUT_SECONDS": SUBMIT_TIMEOUT_SECONDS,
            "BIDE_TIMING__READ_TIMEOUT_SECONDS": SUBMIT_TIMEOUT_SECONDS,
            "PYTHONPATH": f"{self._plugins}:{ROOT}",
        }


def _known(account: AccountName) -> dict[str, str]:
    """The key of an account, and its provider's prices."""
    return {"API_KEY": KEYS[account], "PRICES": json.dumps(KNOWN_PRICES[account.provider])}


def signal_group(process: Process, number: signal.Signals) -> None:
    """Send a signal to a process and all it has started; one that has ended gets none."""
    if process.alive:
        os.killpg(process.pid, number)
