"""For whom the jobs of a run over all contracts are, and at which accounts they go on."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.faults.chaos.jobs import FREE, LIES, Job, jobs_of, request_of

#: The tenants, and how often a job is for each, per hundred.
TENANTS = {"acme": 36, "globex": 26, "initech": 18, "umbrella": 12, "hooli": 8}

#: Tenants of which no budget is ever tight: a lie buys more than a budget knows, so the jobs of liars are theirs.
UNBOUNDED = ("umbrella", "hooli")

#: The share of the jobs that have fallbacks, where their providers need no pictures; and of these, with a second one.
FALLBACK_SHARE, SECOND_SHARE = 0.35, 0.25

#: What the first account does to a job with fallbacks, per hundred: as all, refuse it, or fail and charge nothing.
REFUSES, FAILS = "[fault:400 operation=submit]", "[fault:fail]"
TROUBLES = {"": 50, REFUSES: 35, FAILS: 15}

#: The models of photogpt, which are its lanes, and how often each comes, per hundred.
MODELS = {"m1": 75, "m2": 25}


def jobs_for_tenants(seed: int, number: int) -> list[Job]:
    """The jobs of a run over all contracts, each for a tenant, some with fallbacks."""
    random = Random(f"tenants of {seed}")
    return [_with_money(job, random) for job in jobs_of(seed, number, contracts=True)]


def _with_money(job: Job, random: Random) -> Job:
    """The job with a tenant, and maybe with fallbacks and a first account that surely does not make it."""
    weights = {name: TENANTS[name] for name in UNBOUNDED} if job.contract in LIES else TENANTS
    request = {**job.request, "tenant": _among(weights, random)}
    if request["provider"] == "photogpt":
        request["params"] = {**request["params"], "modelID": _among(MODELS, random)}
    if _may_go_on(job) and random.random() < FALLBACK_SHARE:
        request |= {"fallbacks": _fallbacks(job, random), "params": _troubled(request, random)}
    return replace(job, request=request)


def _may_go_on(job: Job) -> bool:
    """Not what takes pictures, or costs nothing; and what is lied about is counted by itself."""
    return not (job.request.get("inputs") or job.contract == FREE or job.contract in LIES)


def _fallbacks(job: Job, random: Random) -> list[dict[str, Any]]:
    choices = [request_of(kind, job.name) for kind in ("photogpt", "dreambooth", "replay")]
    others = [each for each in choices if each["provider"] != job.request["provider"]]
    number = 2 if random.random() < SECOND_SHARE else 1
    return [
        {name: each[name] for name in ("provider", "operation", "params", "account")}
        for each in random.sample(others, number)
    ]


def _troubled(request: dict[str, Any], random: Random) -> dict[str, Any]:
    """The params with what the first account is to do. The guild alone says that a failure costs nothing."""
    params, trouble = request["params"], _among(TROUBLES, random)
    at = "motif" if request["provider"] == "guild" else "prompt"
    fits = {REFUSES: "[fault:" not in params[at], FAILS: request["provider"] == "guild"}.get(trouble, False)
    return {**params, at: f"{params[at]} {trouble}"} if fits else params


def _among(weights: dict[str, int], random: Random) -> str:
    [found] = random.choices(list(weights), list(weights.values()))
    return found
