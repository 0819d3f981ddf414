"""One run: jobs under way, the ledger is lost, `bide recover` twice; purchases are counted in the provider's book."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.lost.scenes import SCENES, Scene, Setting
from tests.faults.lost.stage import HOME_SECONDS, settled
from tests.integration.waiting import eventually


@dataclass
class Count:
    """What became of the jobs of one run."""

    way: str
    receipts: str
    jobs: int
    scene: str = "plain"
    #: Purchases when the ledger was lost, and how many of their results were stored by then.
    bought: int = 0
    stored: int = 0
    #: Purchases of then that were stored after the recovery, that stand on the operators' list, and that do neither.
    home: int = 0
    listed: int = 0
    lost: int = 0
    #: Jobs that were bought twice, after their callers had repeated all of them.
    bought_twice: int = 0
    #: Jobs of another deployment that the recovery took up.
    touched: int = 0
    #: Jobs that a second recovery took up, though the first one had.
    taken_again: int = 0
    #: How the callers' jobs ended in the end.
    ends: dict[str, int] = field(default_factory=dict)
    recover_seconds: float = 0.0

    @property
    def broken(self) -> bool:
        """Whether something is not zero that must be, with receipts."""
        return bool(self.lost or self.bought_twice or self.touched or self.taken_again)


def run(way: str, *, jobs: int, receipts: str = "s3", scene: str = "plain") -> Count:
    """Submit jobs, lose the ledger while they are under way, make it again, and have all callers repeat theirs."""
    count = Count(way, receipts, jobs, scene)
    with (
        tempfile.TemporaryDirectory(prefix="bide-lost-") as folder,
        SCENES[scene](Setting(Path(folder), jobs, way, receipts)) as stage,
    ):
        stage.begin()
        eventually(stage.enough, what="a third of the jobs are bought", within_seconds=HOME_SECONDS)
        stage.rig.lose(way)
        settled(lambda: len(stage.own()))
        bought = set(stage.own())
        stage.lost()
        count.bought, count.stored = len(bought), len(stage.rig.stored(stage.marked))
        if receipts == "s3":
            _recover(stage, count)
        listed, stored = stage.rig.listed(), stage.rig.stored(stage.marked)
        count.home, count.listed = len(bought & stored), len(bought & listed - stored)
        count.lost = len(bought - stored - listed)
        stage.rig.confirm()
        count.ends = dict(stage.repeat())
        count.lost += stage.missing()
        count.bought_twice = sum(number > 1 for number in Counter(stage.bought()).values())
    return count


def _recover(stage: Scene, count: Count) -> None:
    """Recover twice, and wait until what was bought is home."""
    began, rig = time.monotonic(), stage.rig
    first = rig.recover(*stage.recover_options())
    count.recover_seconds = round(time.monotonic() - began, 1)
    again = rig.recover(*stage.recover_options())
    count.taken_again = sum(each["what"] == "taken" for each in again["jobs"])
    count.touched = max(stage.touched(first), stage.touched(again))
    eventually(lambda: not rig.under_way(), what="all come home", within_seconds=HOME_SECONDS)
