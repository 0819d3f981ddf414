"""What a contact sheet makes of single results: thumbnails, prompts, pages."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageOps
from PIL.PngImagePlugin import PngInfo

from bide.bulk.sheet.page import Run, render
from bide.bulk.sheet.pictures import EDGE_PIXELS, MAX_PIXELS, Preview, shrink, video_seconds
from bide.bulk.sheet.rows import LONGEST_TEXT, Row, Rows
from tests.media import real
from workers.io.sniff import identify


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def row_of(tmp_path: Path, params: Any, **other: Any) -> Row:
    """A row out of its line of the results."""
    request = {"provider": "nextry", "operation": "generate_image", "params": params}
    with Rows(tmp_path) as rows:
        rows.add(json.dumps({"row": 7, "state": "failed", "request": request, **other}).encode())
        [[row]] = rows.pages(10)
    return row


# Thumbnails


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
def test_thumbnail_keeps_the_proportions(file_format: str) -> None:
    """Whatever comes in, a small WebP goes out."""
    small = Image.open(io.BytesIO(shrink(encoded(Image.new("RGB", (1600, 400), "teal"), file_format))))

    assert (small.format, small.size) == ("WEBP", (EDGE_PIXELS, EDGE_PIXELS // 4))


def test_thumbnail_is_never_larger_than_the_original() -> None:
    """A picture of 20 pixels stays one."""
    assert Image.open(io.BytesIO(shrink(encoded(Image.new("RGB", (20, 10)), "PNG")))).size == (20, 10)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_colour_is_taken(mode: str) -> None:
    """Palettes, greys, print colours, sixteen bits; what is see-through stays so."""
    file_format = "TIFF" if mode == "CMYK" else "PNG"
    small = Image.open(io.BytesIO(shrink(encoded(Image.new(mode, (64, 64)), file_format))))

    assert small.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")


def test_photograph_is_turned_upright() -> None:
    """Cameras write how the picture is to be turned; browsers do not see it in a thumbnail."""
    exif = Image.Exif()
    exif[0x0112] = 6
    small = Image.open(io.BytesIO(shrink(encoded(Image.new("RGB", (640, 320)), "JPEG", exif=exif))))

    assert small.size == (EDGE_PIXELS // 2, EDGE_PIXELS)


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("note", ["EXIF", "XMP"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "MPO"])
def test_thumbnail_and_figure_are_turned_alike(file_format: str, orientation: int, note: str) -> None:
    """As browsers do: by EXIF, and not by what other notes say."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options: dict[str, Any] = {"exif": exif} if note == "EXIF" else {"xmp": XMP, "pnginfo": text}
    original = encoded(Image.new("RGB", (64, 32)), file_format, **options)
    kind = identify(io.BytesIO(original), len(original))

    assert Image.open(io.BytesIO(shrink(original))).size == (kind.width, kind.height)
    assert (kind.width, kind.height) == ((32, 64) if note == "EXIF" and orientation > 4 else (64, 32))


def test_avif_that_turns_itself_is_turned_in_its_thumbnail() -> None:
    """By a property of its own instead of EXIF."""
    original = real("turned_20x30.avif")

    assert Image.open(io.BytesIO(shrink(original))).size == (20, 30)


def test_every_orientation_is_turned_as_pillow_turns_it() -> None:
    """Mirrored, too."""
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        original = encoded(Image.linear_gradient("L").resize((40, 20)).rotate(30), "PNG", exif=exif)
        wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(original))).convert("RGB")
        found = Image.open(io.BytesIO(shrink(original))).convert("RGB")
        assert max(ImageChops.difference(wanted, found).tobytes()) < 40


def test_large_photograph_is_read_at_a_fraction() -> None:
    """A JPEG above the limit is decoded at an eighth of its size; a progressive one can't be, and is refused."""
    image = Image.new("L", (8000, 6000))
    assert image.width * image.height > MAX_PIXELS

    assert Image.open(io.BytesIO(shrink(encoded(image, "JPEG")))).size == (EDGE_PIXELS, EDGE_PIXELS * 3 // 4)
    with pytest.raises(ValueError, match="too many pixels"):
        shrink(encoded(image, "JPEG", progressive=True))
    with pytest.raises(ValueError, match="too many pixels"):
        shrink(encoded(image, "PNG"))


@pytest.mark.parametrize(
    ("box", "seconds"),
    [
        (b"mvhd" + bytes(4 + 8) + (600).to_bytes(4, "big") + (4500).to_bytes(4, "big"), 7.5),
        (b"mvhd\1" + bytes(3 + 16) + (1000).to_bytes(4, "big") + (90_000).to_bytes(8, "big"), 90.0),
        (b"mvhd" + bytes(4 + 16), None),
        (b"mvhd" + bytes(10), None),
        (b"mvhd", None),
        (b"", None),
    ],
)
def test_length_of_a_video_is_read(box: bytes, seconds: float | None) -> None:
    """Of both versions of the box; from half of one, or one that counts in nothing, none is."""
    assert video_seconds(b"\0\0\0\x08free" + box) == seconds


# Rows


@pytest.mark.parametrize(
    ("params", "prompt"),
    [
        ({"prompt": "a  red\nfox", "seed": 3}, "a red fox"),
        ({"params": {"Prompt": "a fox"}, "style": "x"}, "a fox"),
        ({"style": "noir", "mode": 2, "picture": "x" * 200}, "style: noir, mode: 2"),
        ({}, ""),
        ({"prompt": "fox " * 1000}, "fox " * 249 + "fox…"),
    ],
)
def test_prompt_is_found(params: dict[str, Any], prompt: str, tmp_path: Path) -> None:
    """Wherever a provider has it; of a request without one the short parameters are shown."""
    row = row_of(tmp_path, params)

    assert row.prompt == prompt
    assert len(row.prompt) <= LONGEST_TEXT


def test_row_of_a_later_version_is_read(tmp_path: Path) -> None:
    """A field that is not known yet costs nothing."""
    output = {"uri": "s3://b/k", "bucket": "b", "key": "k", "content_type": "image/png", "size": 1, "sha256": "0"}
    row = row_of(tmp_path, {}, outputs=[{**output, "mood": "calm"}], weather="fine")

    assert row.outputs[0].key == "k"


def test_row_without_a_request_is_read(tmp_path: Path) -> None:
    """One whose line could not be read any more has no provider, no parameters and a reason."""
    row = row_of(
        tmp_path, None, request={"provider": None, "operation": None}, error={"code": "lost", "message": "gone"}
    )

    assert (row.what, row.prompt, row.code, row.reason) == ("", "", "lost", "gone")


def test_chosen_metadata_and_cost_are_read(tmp_path: Path) -> None:
    """In the order of the choice; what a row lacks is left out, what is no text is JSON, what is long is cut."""
    request = {
        "provider": "p",
        "operation": "o",
        "params": {},
        "metadata": {"b": 7, "a": "x" * 99, "c": ["<b>"], "d": 1},
    }
    with Rows(tmp_path, metadata=["c", "b", "none", "a"]) as rows:
        rows.add(json.dumps({"row": 1, "state": "succeeded", "request": request, "spent": 0.02}).encode())
        [[row]] = rows.pages(10)

    assert row.metadata == (("c", '["<b>"]'), ("b", "7"), ("a", "x" * 59 + "…"))
    assert row.spent == 0.02
    run = Run("r", "b", {"succeeded": 1}, {}, {}, ("index.html",), ())
    page = render(run, "index.html", [row], [Preview()]).decode()
    assert '<i>c</i> [&#34;&lt;b&gt;&#34;]</span><span class="tag"><i>b</i> 7' in page
    assert "</span> · 0.02</p>" in page


# Pages


def page(number: int, pages: int) -> str:
    """A page among others, with one row."""
    names = tuple(f"page-{n:04}.html" for n in range(1, pages + 1))
    run = Run("r", "b", {"succeeded": 10}, {}, {}, names, ())
    row = Row(1, "succeeded", "photogpt images.generation", "", "r.1", "", "", ())
    return render(run, names[number - 1], [row], [Preview()]).decode()


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1, "1 2 3 … 40"), (4, "1 2 3 4 5 6 … 40"), (20, "1 … 18 19 20 21 22 … 40"), (40, "1 … 38 39 40")],
)
def test_pager_has_the_ends_and_the_neighbours(number: int, shown: str) -> None:
    """However many pages there are, a handful is offered."""
    pager = page(number, 40).partition('<span class="pager">')[2].partition("</nav>")[0]

    assert " ".join(re.findall(r">(\d+|…)<", pager)) == shown


def test_row_without_prompt_is_named_by_its_operation() -> None:
    """Something is always there to read."""
    assert "photogpt images.generation" in page(1, 1)
