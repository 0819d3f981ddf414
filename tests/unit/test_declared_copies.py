"""Outputs of a provider's file that come with copies are those that they are without, and each has its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bide.errors import PollFailedError
from bide.providers.base import Account, Answer, Media, PollOutcome, Succeeded, Ticket
from bide.providers.declared.files import read
from tests.unit.declared_files import GOOD

URLS = ["https://a.example/1.png", "https://a.example/2.mp4"]
COPIES = ["https://b.example/1.png", "https://b.example/2.mp4"]
EACH = tuple(Media("image", url, fallback_urls=(copy,)) for url, copy in zip(URLS, COPIES, strict=True))
RECORDS = [{"url": url} for url in URLS]


def outcome(folder: Path, result: str, body: dict[str, Any]) -> PollOutcome:
    """What a poll comes to by a file with this `result`."""
    file = folder / "inkwell.toml"
    file.write_text(GOOD.replace('media = "$.address"', f'copies = "$.copies"\n{result}'), encoding="utf-8")
    (adapter,) = (cls() for cls in read([file]).values())
    answer = Answer(200, {}, json.dumps({"state": "dry", **body}).encode())
    return adapter.poll_outcome(answer, Ticket("draw", "7"), Account("https://api.inkwell.example/v1", "k"))


@pytest.mark.parametrize(
    ("media", "outputs"),
    [
        ("$.images", URLS),
        ("$.images", RECORDS),
        ("$.images[*]", RECORDS),
        ("$.images[*].url", RECORDS),
        ("$..images", URLS),
    ],
)
def test_each_output_has_its_copy(media: str, outputs: list[Any], tmp_path: Path) -> None:
    """However the path finds the outputs."""
    came = outcome(tmp_path, f'media = "{media}"', {"images": outputs, "copies": COPIES})
    assert came == Succeeded(EACH)


def test_what_a_place_says_of_its_outputs_holds_with_copies(tmp_path: Path) -> None:
    """The suffix tells videos, also that of a copy which stands in for an output."""
    place = 'media = { at = "$.images[*].url", by_suffix = true }'
    roles = ("image", "video")
    came = outcome(tmp_path, place, {"images": RECORDS, "copies": COPIES})
    assert isinstance(came, Succeeded)
    assert tuple(media.role for media in came.outputs) == roles
    alone = outcome(tmp_path, place, {"images": [], "copies": COPIES})
    assert alone == Succeeded(tuple(Media(role, url) for role, url in zip(roles, COPIES, strict=True)))


def test_other_places_are_tried_where_there_is_neither(tmp_path: Path) -> None:
    """As they are without copies."""
    result = 'media = "$.images"\notherwise = "$.preview"'
    assert outcome(tmp_path, result, {"preview": URLS[0]}) == Succeeded((Media("image", URLS[0]),))


def test_a_playlist_is_no_file_with_copies_either(tmp_path: Path) -> None:
    """Where a place has addresses of files alone."""
    result = 'media = { at = "$.images", addresses = true }'
    with pytest.raises(PollFailedError, match="a playlist where a file was expected"):
        outcome(tmp_path, result, {"images": ["https://a.example/1.m3u8"], "copies": COPIES[:1]})


def test_outputs_without_content_are_counted_in_lists_that_a_path_finds(tmp_path: Path) -> None:
    """One of two has an address."""
    came = outcome(tmp_path, 'media = "$..images"', {"images": [URLS[0], None]})
    assert isinstance(came, Succeeded)
    assert came.partial.startswith("1 of 2 outputs")
