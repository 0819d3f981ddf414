"""Lists, pages and contact sheets of jobs whose outputs are no pictures, or not all of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.bulk.sheet.page import Run, render
from bide.bulk.sheet.pictures import preview
from bide.bulk.sheet.rows import Row
from bide.contract import Output
from bide.kinds import kind_of, shown_first
from bide.ledger import Record
from bide.ledger.recent import Found, Place
from tests.unit.atelier import ACCOUNT
from tests.unit.memory_store import MemoryStorage
from workers.pages.rows import row_of

KINDS = {
    "image/png": "picture",
    "video/mp4": "video",
    "audio/mpeg": "sound",
    "model/gltf-binary": "model",
    "text/csv": "text",
    "application/json": "text",
    "application/gzip": "archive",
    "application/octet-stream": "file",
}


def output(content_type: str, name: str = "0.bin", **more: Any) -> Output:
    """A stored object."""
    return Output(
        uri=f"s3://memory/{name}", bucket="memory", key=name, content_type=content_type, size=7, sha256="0", **more
    )


@pytest.mark.parametrize("content_type", KINDS)
def test_each_type_has_a_word_for_people(content_type: str) -> None:
    """And nothing but pictures and videos is fetched for a preview."""
    one = output(content_type)
    assert kind_of(one) == KINDS[content_type]
    storage: Any = MemoryStorage()
    made = preview(storage, one)
    notes = {"picture": "the original can not be read", "video": "the original can not be read"}
    notes |= {"text": "no preview", "file": "no preview"}
    assert (made.source, made.note) == (None, notes.get(KINDS[content_type], KINDS[content_type]))


@pytest.mark.parametrize(
    ("types", "place"),
    [
        (["model/gltf-binary", "video/mp4", "image/png", "image/png"], 2),
        (["audio/wav", "video/mp4"], 1),
        (["audio/wav", "text/plain"], 0),
        ([], 0),
    ],
)
def test_a_picture_stands_for_all_outputs(types: list[str], place: int) -> None:
    """Else a video, else the first output."""
    assert shown_first([output(each) for each in types]) == place


def test_a_tile_and_a_row_show_the_picture_among_the_outputs() -> None:
    """With its address; all files are listed in their order."""
    outputs = (output("model/gltf-binary", "0.glb"), output("image/png", "1.png", width=9, height=9))
    row = Row(1, "succeeded", "atelier paint", "a fox", "run.1", "", "", outputs)
    run = Run("run", "memory", {"succeeded": 1}, {}, {}, ("index.html",), ())
    storage: Any = MemoryStorage()
    page = render(run, "index.html", [row], [preview(storage, outputs[shown_first(outputs)])]).decode()
    assert 'class="picture" href="./../../1.png"' in page
    assert "2 files" in page
    assert page.index("0.glb") < page.rindex("1.png")

    result = json.dumps({"outputs": [each.model_dump() for each in outputs]})
    record = Record("a", ACCOUNT, {"state": "succeeded", "op": "paint", "result": result})
    shown = row_of(Found(Place(0.0, "a"), record), {})
    assert (shown.kind, shown.shown, shown.outputs) == ("picture", 1, 2)
