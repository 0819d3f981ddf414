"""What a demo asks for: every operation of every provider once, and a small batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.pictures import Order, paint

#: How many pictures the batch has.
BATCH = 12

_BATCH_SCENES = ("a lighthouse", "a fox in the snow", "a paper city", "a quiet harbour")


@dataclass(frozen=True)
class DemoJob:
    """One request, as `bide.client.Client.submit` takes it."""

    request: dict[str, Any]
    batch: bool = False

    @property
    def label(self) -> str:
        return f"{self.request['provider']} {self.request['operation']}"


def demo_jobs() -> Iterator[DemoJob]:
    """All jobs of a demo, the slowest first."""
    for provider, operation, params, inputs in _each_operation():
        yield DemoJob({"provider": provider, "operation": operation, "params": params, "inputs": inputs})
    for number in range(BATCH):
        prompt = f"{_BATCH_SCENES[number % len(_BATCH_SCENES)]}, study {number + 1}"
        params = {"modelID": "m1", "prompt": prompt, "numImages": 1}
        request = {"provider": "photogpt", "operation": "images.generation", "params": params}
        yield DemoJob(
            {**request, "priority": "bulk", "output_prefix": "batch", "metadata": {"row": number}}, batch=True
        )


def _each_operation() -> list[tuple[str, str, dict[str, Any], dict[str, bytes]]]:
    face, place = _picture("demo: a face", 384), _picture("demo: a place", 384)
    dream = {"model_id": "midjourney", "prompt": "a cabin under northern lights", "width": 512, "height": 512}
    booth = {"mode": "style_sdxl_zero", "style": "1", "params": {"Sex": "woman"}}
    return [
        ("photogpt", "models.train", {"modelID": "m1"}, {}),
        ("photogpt", "videos.generation", {"modelID": "m1", "prompt": "waves against a pier"}, {}),
        ("photogpt", "images.generation", {"modelID": "m1", "prompt": "a red fox", "numImages": 2}, {}),
        ("photogpt", "images.upscaling", {"imageID": "image-1"}, {}),
        ("cyberphotobooth", "generate", booth, {"Face": face, "Fon": place}),
        ("dreambooth", "text2img", {**dream, "samples": 1}, {}),
        ("dreambooth", "img2img", {**dream, "samples": 1}, {"init_image": place}),
        ("nextry", "generate_image", {"tool": "fashion_swap"}, {"person": face, "clothes": place}),
    ]


def _picture(digest: str, side: int) -> bytes:
    return paint(Order(digest, "jpg", side, side))
