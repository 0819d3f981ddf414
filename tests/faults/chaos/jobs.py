"""The jobs of a run: four providers, or more, each job known by its name from the request to the purchase."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from bide.ledger import AccountName
from tests.integration.caller import PIXEL

#: How often each kind comes, per hundred; what the simulated providers draw slowly comes seldom.
SHARES = {"photogpt": 45, "dreambooth": 39, "cyberphotobooth": 8, "nextry": 8}

#: The contracts of the sandbox's guild whose doubts settle themselves, what is free, and what its list settles.
PROMISED, FREE, LISTING = ("replay", "reject", "client_id"), "free", "listing"

#: Contracts that are not kept, each with the fault by which the sandbox lies.
LIES = {"replay, a lie": "forgets_key", "reject, a lie": "hides_work", "client_id, a lie": "hides_work"}

#: How often each kind comes where the jobs spread over all contracts, per hundred.
CONTRACT_SHARES = {
    "photogpt": 18,
    "dreambooth": 14,
    "cyberphotobooth": 2,
    "nextry": 2,
    "none": 8,
    "replay": 14,
    "reject": 12,
    "client_id": 12,
    FREE: 6,
    LISTING: 9,
    **dict.fromkeys(LIES, 1),
}

#: How the guild loses its first answer about a job, and for which share of its jobs; for all about which it lies.
LOST, LOST_SHARE = ("accept_then_drop", "accept_then_504", "accept_then_garbage"), 0.15


@dataclass(frozen=True)
class Job:
    """One job; its name is its id and the first word of its prompt."""

    name: str
    request: dict[str, Any]
    #: `none`, or one of the guild's: that of its first account.
    contract: str = "none"

    @property
    def tenant(self) -> str:
        return str(self.request.get("tenant", ""))

    @property
    def in_turn(self) -> dict[AccountName, dict[str, Any]]:
        """What each of its accounts is asked, by account: the first one, then its fallbacks."""
        asked = [self.request, *self.request.get("fallbacks", ())]
        return {AccountName(each["provider"], each["account"]): each for each in asked}

    def contract_at(self, account: AccountName) -> str:
        """The contract of the account where it is."""
        asked = self.in_turn[account]
        if asked is self.request:
            return self.contract
        return str(asked["operation"]) if account.provider == "guild" else "none"


def jobs_of(seed: int, number: int, *, contracts: bool = False) -> list[Job]:
    """The jobs of a run; with `contracts` over providers of all of them."""
    random, shares = Random(f"jobs of {seed}"), CONTRACT_SHARES if contracts else SHARES
    kinds = random.choices(list(shares), list(shares.values()), k=number)
    names = [f"chaos-{seed}-{count:05d}" for count in range(number)]
    lost = [random.choice(LOST) if kind in LIES or random.random() < LOST_SHARE else "" for kind in kinds]
    return [_job(kind, name, fault) for name, kind, fault in zip(names, kinds, lost, strict=True)]


def request_of(kind: str, name: str) -> dict[str, Any]:
    """What a job of one kind asks for."""
    return _job(kind, name, "").request


def _job(kind: str, name: str, lost: str) -> Job:
    """A job of one kind; of the guild's some have a lost answer to their first submit."""
    if kind in _KINDS:
        return Job(name, _request(kind, name))
    operation = "none" if kind == LISTING else kind.partition(",")[0]
    faults = [*([LIES[kind]] if kind in LIES else []), *([f"{lost} times=1"] if lost else [])]
    motif = " ".join([name, *(f"[fault:{fault}]" for fault in faults)])
    request: dict[str, Any] = {
        "provider": "guild",
        "operation": operation,
        "params": {"motif": motif},
        "account": "default",
    }
    if kind == LISTING:
        request["account"] = LISTING
    return Job(name, request, kind)


def _request(provider: str, prompt: str) -> dict[str, Any]:
    operation, params, inputs = _KINDS[provider]
    sent: dict[str, Any] = {**params, "prompt": prompt}
    if provider == "cyberphotobooth":
        sent = {**params, "params": {"Sex": "woman", "Prompt": prompt}}
    return {
        "provider": provider,
        "account": "default",
        "operation": operation,
        "params": sent,
        "inputs": dict(inputs),
    }


_SMALL = {"width": 64, "height": 64}

_KINDS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "photogpt": ("images.generation", {"modelID": "m1", "numImages": 1, **_SMALL}, {}),
    "dreambooth": ("text2img", {"model_id": "midjourney", "samples": 1, **_SMALL}, {}),
    "cyberphotobooth": ("generate", {"mode": "style_sdxl_zero", "style": "1"}, {"Face": PIXEL, "Fon": PIXEL}),
    "nextry": ("generate_image", {"tool": "fashion_swap"}, {"person": PIXEL, "clothes": PIXEL}),
}
