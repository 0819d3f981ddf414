"""The sandbox's pictures: real files, the same for the same subject, as large as asked."""

from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image

from sandbox.gallery import Gallery, make
from sandbox.padding import pad
from sandbox.pictures import Order, draw, encode, paint
from sandbox.scenes import SCENES


def opened(content: bytes) -> Image.Image:
    """The picture of a file, read to its end."""
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


@pytest.mark.parametrize(("file_format", "name"), [("png", "PNG"), ("webp", "WEBP"), ("jpg", "JPEG")])
def test_a_picture_is_a_file_of_its_format_and_size(file_format: str, name: str) -> None:
    """A painted order opens as the format and size that were asked for."""
    picture = opened(paint(Order("a red fox", file_format, 160, 96)))

    assert picture.format == name
    assert picture.size == (160, 96)


def test_the_same_digest_gives_the_same_picture() -> None:
    """Two runs over one digest draw the same bytes, another digest draws others."""
    assert paint(Order("one", "png", 96, 96)) == paint(Order("one", "png", 96, 96))
    assert paint(Order("one", "png", 96, 96)) != paint(Order("two", "png", 96, 96))


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_has_many_colours(scene: object) -> None:
    """No scene comes out flat: each has hundreds of different colours."""
    assert callable(scene)
    picture = scene("a digest", (128, 128), 0.0)

    assert len(picture.getcolors(maxcolors=128 * 128)) > 200


def test_a_larger_picture_shows_the_same_scene() -> None:
    """An upscale, reduced again, looks like the small one."""
    small = draw("fox", 64, 64).convert("L")
    large = draw("fox", 256, 256).resize((64, 64), Image.Resampling.BOX).convert("L")

    differences = [abs(a - b) for a, b in zip(small.tobytes(), large.tobytes(), strict=True)]
    assert sum(differences) / len(differences) < 16


@pytest.mark.parametrize("file_format", ["png", "webp", "jpg"])
@pytest.mark.parametrize("target", [40_000, 200_001])
def test_padding_reaches_the_size_and_keeps_the_picture(file_format: str, target: int) -> None:
    """A padded file has about the wanted size and the very same pixels."""
    content = encode(draw("fox", 64, 64), file_format)

    padded = pad(content, file_format, target)

    assert abs(len(padded) - target) <= 16
    assert opened(padded).tobytes() == opened(content).tobytes()


def test_padding_never_shrinks() -> None:
    """A file that is large enough stays as it is."""
    content = encode(draw("fox", 64, 64), "png")

    assert pad(content, "png", 10) == content


def test_a_picture_too_large_for_the_wanted_bytes_is_reduced() -> None:
    """With a small size wanted, a smaller picture is drawn and padded to that size."""
    content = make(Order("fox", "png", 512, 512), 12_000)

    assert len(content) == 12_000
    assert opened(content).size[0] < 512


def test_a_picture_is_drawn_once_for_all_who_ask_at_once() -> None:
    """Ten requests for one file cost one drawing."""

    async def ask() -> tuple[int, int]:
        gallery = Gallery()
        files = await asyncio.gather(*(gallery.file(Order("fox", "png", 64, 64)) for _ in range(10)))
        gallery.close()
        return len(set(files)), gallery.drawn

    assert asyncio.run(ask()) == (1, 1)


def test_the_cache_is_bounded_and_drops_the_oldest() -> None:
    """Over its limit the gallery forgets what was not asked for longest, and draws that again."""

    async def ask() -> tuple[int, int]:
        gallery = Gallery(kept_bytes=20_000)
        for n in range(12):
            await gallery.file(Order(f"subject {n}", "png", 64, 64))
        drawn = gallery.drawn
        await gallery.file(Order("subject 0", "png", 64, 64))
        gallery.close()
        return gallery.size, gallery.drawn - drawn

    size, drawn_again = asyncio.run(ask())
    assert 0 < size <= 20_000
    assert drawn_again == 1


def test_under_load_all_subjects_share_one_file() -> None:
    """With a result size set, two subjects get the same bytes from one drawing."""

    async def ask() -> tuple[bool, int]:
        gallery = Gallery(result_bytes=30_000)
        one = await gallery.file(Order("one", "png"))
        other = await gallery.file(Order("other", "png"))
        gallery.close()
        return one == other, gallery.drawn

    assert asyncio.run(ask()) == (True, 1)
