"""What a demo asks for: every operation of four providers once, and the rows of a bulk run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.pictures import Order, paint

_PLACES = ("a valley at dawn", "a lake at dusk", "hills in autumn", "a starry night", "a moonlit bay", "a misty ridge")
_STYLES = ("as a woodcut", "in watercolour", "as a postage stamp")


@dataclass(frozen=True)
class DemoJob:
    """One request, as `bide.client.Client.submit` takes it."""

    request: dict[str, Any]

    @property
    def label(self) -> str:
        return f"{self.request['provider']} {self.request['operation']}"


def demo_jobs() -> Iterator[DemoJob]:
    """All jobs of a demo, the slowest first."""
    for provider, operation, params, inputs in _each_operation():
        yield DemoJob({"provider": provider, "operation": operation, "params": params, "inputs": inputs})


def demo_rows(upload: Callable[[str, bytes], str]) -> Iterator[dict[str, Any]]:
    """The rows of a demo's bulk run: 18 prompts by turns to two providers, and six pictures worked on by the others.

    `upload` stores a picture under a name and returns its address.
    """
    for number, prompt in enumerate(f"{place}, {style}" for place in _PLACES for style in _STYLES):
        if number % 2:
            params = {"model_id": "midjourney", "prompt": prompt, "width": 512, "height": 512, "samples": 1}
            row = {"provider": "dreambooth", "operation": "text2img", "params": params}
        else:
            params = {"modelID": "m1", "prompt": prompt, "numImages": 1}
            row = {"provider": "photogpt", "operation": "images.generation", "params": params}
        yield {**row, "metadata": {"sku": f"SKU-{number + 1:03}"}}
    place = upload("place.jpg", _picture("demo: a place", 384))
    for number in range(3):
        face = upload(f"face-{number}.jpg", _picture(f"demo: face {number}", 384))
        params = {"mode": "style_sdxl_zero", "style": str(number + 1), "params": {"Sex": "woman"}}
        yield {
            "provider": "cyberphotobooth",
            "operation": "generate",
            "params": params,
            "inputs": {"Face": face, "Fon": place},
        }
        yield {
            "provider": "nextry",
            "operation": "generate_image",
            "params": {"tool": "fashion_swap"},
            "inputs": {"person": face, "clothes": place},
        }


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
