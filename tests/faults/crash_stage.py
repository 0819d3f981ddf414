"""Where the crash matrix is played: jobs that stand for all providers, and a deployment that kills itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bide.crashpoints import POINTS, Point
from bide.ledger import AccountName
from bide.ledger.safety import LEDGER_KEY
from sandbox.running import Sandbox
from tests.faults.kills import ORDER_VARIABLE
from tests.integration.caller import PIXEL
from tests.integration.processes import Process
from tests.integration.replicated_redis import ReplicatedServer
from tests.integration.rig import CLOCKS, LATENCY_SECONDS, Rig

#: Points of the poller; all others are the worker's.
POLLER_POINTS: tuple[Point, ...] = ("poll_claimed", "poll_answered", "poll_recorded", "job_resumed")

#: Stands in a case's params for the words that mark the jobs of one run.
MARK = "MARK"


@dataclass(frozen=True)
class Case:
    """A job of a kind of its own, in an account of its own; `spared`: points that such a job does not pass."""

    name: str
    provider: str
    operation: str
    params: dict[str, Any]
    account: str = "default"
    inputs: dict[str, str] = field(default_factory=dict)
    spared: tuple[Point, ...] = ()

    @property
    def owner(self) -> AccountName:
        return AccountName(self.provider, self.account)

    def request(self, mark: str) -> dict[str, Any]:
        params = json.loads(json.dumps(self.params).replace(MARK, mark))
        named = {"provider": self.provider, "operation": self.operation, "account": self.account}
        return {**named, "params": params, "inputs": self.inputs}


CASES = (
    Case(
        "cyberphotobooth",
        "cyberphotobooth",
        "generate",
        {"mode": "image_text", "style": 1029, "return_s3_link": True, "params": {"Prompt": f"{MARK} booth"}},
    ),
    Case(
        "dreambooth",
        "dreambooth",
        "text2img",
        {"model_id": "midjourney", "prompt": f"{MARK} castle", "samples": 2},
    ),
    Case(
        "dreambooth, done at once",
        "dreambooth",
        "text2img",
        {"model_id": "midjourney", "prompt": f"{MARK} at once"},
        account="quick",
        spared=POLLER_POINTS,
    ),
    Case(
        "nextry",
        "nextry",
        "generate_image",
        {"tool": "fashion_swap", "prompt": f"{MARK} dress"},
        account="main",
        inputs={"clothes": PIXEL, "person": PIXEL},
    ),
    Case("photogpt, images", "photogpt", "images.generation", {"modelID": "m1", "prompt": f"{MARK} fox"}),
    Case(
        "photogpt, video",
        "photogpt",
        "videos.generation",
        {"modelID": "m1", "prompt": f"{MARK} waves"},
        account="films",
    ),
    Case(
        "photogpt, training",
        "photogpt",
        "models.train",
        {"modelID": MARK},
        account="training",
        spared=("half_downloaded",),  # it leaves no file
    ),
    Case(
        "photogpt, long video",
        "photogpt",
        "videos.generation",
        {"modelID": "m1", "prompt": f"{MARK} tide [video:9000000]"},
        account="long",
        spared=tuple(
            point for point in POINTS if point != "half_uploaded"
        ),  # it goes up in parts, the rest is the same
    ),
)

#: Accounts beside those of the rig. Each has room for one job: a job that keeps its place stops the next run.
ACCOUNTS = {
    "DREAMBOOTH__ACCOUNTS__QUICK__API_KEY": "key-of-quick",
    "PHOTOGPT__ACCOUNTS__FILMS__API_KEY": "key-of-films",
    "PHOTOGPT__ACCOUNTS__LONG__API_KEY": "key-of-long",
    "PHOTOGPT__ACCOUNTS__TRAINING__API_KEY": "key-of-training",
    **{f"{name}__MAX_IN_FLIGHT": "1" for name in ("CYBERPHOTOBOOTH", "DREAMBOOTH", "NEXTRY", "PHOTOGPT")},
    # a first poll finds the job done, so that what comes after an end is passed by the first kill
    **{f"{name}__POLL_FIRST_SECONDS": "2" for name in ("CYBERPHOTOBOOTH", "DREAMBOOTH", "NEXTRY", "PHOTOGPT")},
}


#: Where there is no time to wait for production's.
SHORT_CLOCKS = {"BIDE_TIMING__LEASE_SECONDS": "3", "BIDE_TIMING__SWEEP_SECONDS": "1"}

#: Size of the one picture that is drawn of each kind where there is no time to draw all [bytes].
PICTURE_BYTES = 60_000


class CrashStage(Rig):
    """A deployment whose processes obey the orders of `tests.faults.kills`, at production's clocks or at short ones.

    With `replica` a replica follows its Redis, and acknowledges what must not be lost.
    """

    def __init__(self, folder: Path, *, short: bool, replica: bool = False) -> None:
        super().__init__(folder)
        if replica:
            self.redis = ReplicatedServer(folder / "redis")  # type: ignore[assignment]  # starts, is killed, has an address
        self._safe = {"BIDE_LEDGER__SAFE": "replica"} if replica else {}
        self._clocks = SHORT_CLOCKS if short else {}
        self.sandbox = Sandbox(latency_seconds=LATENCY_SECONDS, result_bytes=PICTURE_BYTES if short else None)

    def order(self, process: Process) -> Path:
        """Where an order to a process lies."""
        return self._folder / f"{process.name}.order"

    def clear(self) -> None:
        """Start anew after a run that broke."""
        for process in (self.worker, self.poller):
            process.kill()
            self.order(process).unlink(missing_ok=True)
        self.sandbox.reset()
        with self.server() as server:
            known = server.hgetall(LEDGER_KEY)
            server.flushall()
            if known:  # else it counts as a lost ledger
                server.hset(LEDGER_KEY, mapping=known)

    def process(self, name: str, *, ready: str) -> Process:
        env = {**self.environment(), ORDER_VARIABLE: str(self._folder / f"{name}.order")}
        more = "-I tests.faults.crashing"
        return Process.of_procfile(name, env=env, ready=ready, folder=self._folder, more=more)

    def environment(self) -> dict[str, str]:
        variables = {name: value for name, value in super().environment().items() if name not in CLOCKS}
        accounts = {f"BIDE_PROVIDERS__{name}": value for name, value in ACCOUNTS.items()}
        # each account's round may wait for the others at its point
        return {**variables, **self._clocks, **self._safe, **accounts, "BIDE_POLLER__CONCURRENCY": "16"}
