"""The sentinels of a Redis: whether they answer, and whether enough of them can agree on a failover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import redis

from bide.redis_client import sentinels_of
from bide.settings.addresses import ServerUrl
from workers.doctor.findings import Finding, ok, problem, warning
from workers.doctor.replication import Reach

#: The fewest that still agree by majority when one of them is lost.
ENOUGH = 3


def check_sentinels(check: str, url: ServerUrl, master: str, reach: Reach) -> Iterator[Finding]:
    """Each sentinel that the address names is asked; the worst answer says whether they can agree."""
    silent, answers = [], []
    for host, port in sentinels_of(url):
        try:
            with reach(ServerUrl(f"redis://{host}:{port}")) as sentinel:
                answers.append(_ask(sentinel, master))
        except redis.RedisError as error:
            silent.append(f"{host}:{port} ({type(error).__name__})")
    if silent:
        words = f"no answer about {master} from {', '.join(silent)}"
        yield warning(check, words, "start it, or correct the address; a process finds its leader by any one of them")
    if answers:
        yield _judge(check, *max(answers, key=lambda answer: bool(answer[1])))


def _ask(sentinel: redis.Redis, master: str) -> tuple[Mapping[str, Any], str]:
    """What a sentinel knows of the leader, and why no failover is possible; '' where one is."""
    asked: Any = sentinel  # redis-py has no types for what sentinels answer
    known: Mapping[str, Any] = asked.sentinel_master(master)
    try:
        asked.execute_command("SENTINEL CKQUORUM", master)
    except redis.ResponseError as error:
        return known, str(error)
    return known, ""


def _judge(check: str, known: Mapping[str, Any], refusal: str) -> Finding:
    count, quorum = int(known["num-other-sentinels"]) + 1, known["quorum"]
    counted = f"{count} {'watches' if count == 1 else 'watch'} the leader, quorum {quorum}"
    if refusal:
        words = f"{counted}: they can't agree on a failover ({refusal.partition('.')[0]})"
        return problem(check, words, "start the missing sentinels, or lower the quorum: SENTINEL SET <master> quorum 2")
    if count < ENOUGH:
        words = f"{counted}: when one is lost, no failover is possible"
        return warning(check, words, "run three or more, each on a host of its own, with quorum 2")
    return ok(check, f"{counted}, and they can agree on a failover")
