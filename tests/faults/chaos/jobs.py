"""The jobs of a run: four providers, each job known by its name from the request to the purchase."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from tests.integration.caller import PIXEL

#: How often each kind comes, per hundred; what the simulated providers draw slowly comes seldom.
SHARES = {"photogpt": 45, "dreambooth": 39, "cyberphotobooth": 8, "nextry": 8}


@dataclass(frozen=True)
class Job:
    """One job; its name is its id and its prompt."""

    name: str
    request: dict[str, Any]


def jobs_of(seed: int, number: int) -> list[Job]:
    """The jobs of a run."""
    random = Random(f"jobs of {seed}")
    providers = random.choices(list(SHARES), list(SHARES.values()), k=number)
    names = [f"chaos-{seed}-{count:05d}" for count in range(number)]
    return [Job(name, _request(provider, name)) for name, provider in zip(names, providers, strict=True)]


def _request(provider: str, prompt: str) -> dict[str, Any]:
    operation, params, inputs = _KINDS[provider]
    sent: dict[str, Any] = {**params, "prompt": prompt}
    if provider == "cyberphotobooth":
        sent = {**params, "params": {"Sex": "woman", "Prompt": prompt}}
    return {"provider": provider, "operation": operation, "params": sent, "inputs": dict(inputs)}


_SMALL = {"width": 64, "height": 64}

_KINDS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "photogpt": ("images.generation", {"modelID": "m1", "numImages": 1, **_SMALL}, {}),
    "dreambooth": ("text2img", {"model_id": "midjourney", "samples": 1, **_SMALL}, {}),
    "cyberphotobooth": ("generate", {"mode": "style_sdxl_zero", "style": "1"}, {"Face": PIXEL, "Fon": PIXEL}),
    "nextry": ("generate_image", {"tool": "fashion_swap"}, {"person": PIXEL, "clothes": PIXEL}),
}
