"""The contact sheet of a run, written into a real store over HTTP."""

from __future__ import annotations

import re
import struct
import tempfile
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin

import pytest

from bide.bulk.sheet.rows import PAGE_ROWS
from bide.bulk.sheet.writer import write_sheet
from bide.errors import StorageError
from tests.integration.object_store import BUCKET
from tests.integration.sheet_stage import HOSTILE, RUN, Stage, line, output, picture, stage

pytestmark = pytest.mark.integration


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


class Elements(HTMLParser):
    """The elements of a page, each as its name and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str, attribute: str) -> list[str]:
        return [value for name, attrs in self.found if name == tag and (value := attrs.get(attribute))]


def test_page_shows_every_row_in_order(stage: Stage) -> None:
    """Whatever the order in which rows ended: by number, each with its state, prompt and picture or reason."""
    fox = stage.put("2026/11/22/a/0.png", picture())
    stage.finish([line(3, state="failed", prompt="a fox, no picture"), line(1, fox)])
    stage.finish([line(2, fox, prompt="a tea house")], part=2)

    assert write_sheet(stage.storage, RUN) == f"s3://{BUCKET}/runs/{RUN}/index.html"

    page = stage.read()
    assert re.findall(r'id="row-(\d+)" data-state="(\w+)"', page) == [
        ("1", "succeeded"),
        ("2", "succeeded"),
        ("3", "failed"),
    ]
    assert page.count('src="data:image/webp;base64,') == 2
    assert "refused: row 3" in page
    assert all(text in page for text in ("a tea house", "a fox, no picture", "1 min 5 s", "4.2 s", RUN))


def test_links_lead_to_the_originals(stage: Stage) -> None:
    """Followed from the page they name the very objects, on disk as in the store, whatever their keys look like."""
    keys = ["2026/11/22/a/0.png", "tenant-a/2026/11/22/b:c/0.png", "runs/x/2026/d/1.png"]
    outputs = [stage.put(key, picture()) for key in keys]
    stage.finish([line(1, *outputs)])
    write_sheet(stage.storage, RUN)

    links = [href for href in Elements(stage.read()).all("a", "href") if href.startswith("./")]
    followed = {unquote(urljoin(f"http://store/{BUCKET}/runs/{RUN}/index.html", href)) for href in links}
    assert followed == {f"http://store/{BUCKET}/{key}" for key in keys}
    assert all((stage.page.parent / unquote(href)).resolve().is_file() for href in links)


def test_page_needs_nothing_besides_itself(stage: Stage) -> None:
    """A page on a disk, or behind a signed address, loads nothing."""
    stage.finish([line(1, stage.put("2026/11/22/a/0.png", picture()))])
    write_sheet(stage.storage, RUN)

    elements = Elements(stage.read())
    assert all(source.startswith("data:") for tag in ("img", "script", "source") for source in elements.all(tag, "src"))
    assert not [tag for tag, _ in elements.found if tag in ("link", "iframe", "object", "base", "form")]
    assert "default-src 'none'" in elements.all("meta", "content")[2]


def test_hostile_prompts_stay_text(stage: Stage) -> None:
    """Prompts are foreign texts: they are shown, never run, wherever they appear."""
    failed = line(2, state="failed", prompt=HOSTILE)
    failed["error"]["message"] = failed["error"]["code"] = HOSTILE
    stage.finish([line(1, stage.put("2026/11/22/a/0.png", picture()), prompt=HOSTILE), failed, line(3, state=HOSTILE)])
    write_sheet(stage.storage, RUN)

    page = stage.read()
    elements = Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 1
    assert not [attrs for _, attrs in elements.found if any(name.startswith("on") for name in attrs)]
    assert set(elements.all("img", "alt")) == {HOSTILE}
    assert "49" not in re.sub(r"base64,[^\"]+", "", page.partition("<main>")[2])


def test_large_run_has_pages_and_its_failures_on_one(stage: Stage) -> None:
    """Some pages of all rows, and those that did not succeed by themselves; each page leads to the others."""
    rows = 2 * PAGE_ROWS + 1
    stage.finish(line(row, state="failed" if row % 100 == 0 else "succeeded") for row in range(1, rows + 1))
    write_sheet(stage.storage, RUN)

    assert stage.pages() == ["index.html", "page-0002.html", "page-0003.html", "problems.html"]
    assert re.findall(r'id="row-(\d+)"', stage.read("problems.html")) == ["100", "200", "300", "400"]
    assert re.findall(r'id="row-(\d+)"', stage.read("page-0003.html")) == [str(rows)]
    links = Elements(stage.read("page-0002.html")).all("a", "href")
    assert set(links) == {"index.html", "page-0003.html", "problems.html"}


def test_a_second_line_of_a_row_replaces_the_first(stage: Stage) -> None:
    """A part that was written again, or an unconfirmed row that ended later, is one row."""
    stage.finish([line(1, state="unconfirmed"), line(2)])
    stage.finish([line(1)], part=2)
    write_sheet(stage.storage, RUN)

    assert re.findall(r'data-state="(\w+)"', stage.read()) == ["succeeded", "succeeded"]


def test_killed_in_the_middle_it_goes_on_to_the_same_result(stage: Stage) -> None:
    """What was written stays as it is, the rest follows, and the first page comes last."""
    stage.finish(line(row, prompt=f"fox {row}") for row in range(1, 3 * PAGE_ROWS))

    def killed(done: int, _: int) -> None:
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_sheet(stage.storage, RUN, on_page=killed)
    assert stage.pages() == ["page-0002.html", "page-0003.html"]
    before = {name: stage.objects.read(f"runs/{RUN}/{name}") for name in stage.pages()}

    calls: list[tuple[int, int]] = []
    write_sheet(stage.storage, RUN, on_page=lambda done, total: calls.append((done, total)))

    assert calls == [(1, 3), (2, 3), (3, 3)]
    for name, (content, answer) in before.items():
        now, now_answer = stage.objects.read(f"runs/{RUN}/{name}")
        assert (now, now_answer["LastModified"]) == (content, answer["LastModified"])
    assert 'id="row-1"' in stage.read()


def test_second_sheet_replaces_the_first(stage: Stage) -> None:
    """After a replay fewer rows are wrong: pages that are no more are taken away."""
    stage.finish(line(row, state="failed") for row in range(1, PAGE_ROWS + 2))
    write_sheet(stage.storage, RUN)
    assert stage.pages() == ["index.html", "page-0002.html", "problems-0002.html", "problems.html"]

    stage.finish(line(row) for row in range(1, PAGE_ROWS + 2))
    write_sheet(stage.storage, RUN)

    assert stage.pages() == ["index.html", "page-0002.html"]
    assert "failed" not in stage.read().partition("<main>")[2]


def test_originals_that_can_not_be_shown_cost_their_tile_only(stage: Stage) -> None:
    """Gone, broken, too large or no picture at all: the row is there, with a word about it."""
    bomb = stage.put("bomb.png", _claiming(picture(), width=30_000, height=30_000))
    half = stage.put("half.png", picture(400, 400)[:-700])
    stage.finish(
        [
            line(1, output("gone.png", b"x")),
            line(2, bomb),
            line(3, half),
            line(4, output("large.png", size=10**9)),
            line(5, stage.put("model.json", b"{}", "application/json")),
            line(6),
            line(7, output("elsewhere.png", bucket="another")),
        ]
    )
    write_sheet(stage.storage, RUN)

    notes = re.findall(r'class="stand-in">([^<]+)<', stage.read())
    assert notes == [
        "the original can not be read",
        "no preview",
        "no preview",
        "too large for a preview",
        "no preview",
        "no file",
        "the original can not be read",
    ]
    assert "s3://another/elsewhere.png" in stage.read()


def test_video_tells_its_length(stage: Stage) -> None:
    """A stand-in with the length that the file's head says, found at its beginning or its end."""
    head = b"\0\0\0\x6cmoov\0\0\0\x64mvhd" + struct.pack(">IIIII", 0, 0, 0, 1000, 5500)
    begin = stage.put("a.mp4", b"\0\0\0\x08ftyp" + head, "video/mp4")
    end = stage.put("b.mp4", b"\0" * 300_000 + head, "video/mp4")
    stage.finish([line(1, begin), line(2, end), line(3, stage.put("c.webm", b"\x1a\x45", "video/webm"))])
    write_sheet(stage.storage, RUN)

    assert re.findall(r'class="play"></i>([^<]+)<', stage.read()) == ["video, 5.5 s", "video, 5.5 s", "video"]


def test_run_of_no_rows_has_a_page(stage: Stage) -> None:
    """An empty input ends like any other."""
    stage.finish([])
    write_sheet(stage.storage, RUN)

    assert stage.pages() == ["index.html"]


def test_store_that_is_away_is_an_error(stage: Stage) -> None:
    """Nothing is made up in place of pictures that another attempt would find."""
    stage.finish([line(1, stage.put("2026/11/22/a/0.png", picture()))])
    _ = stage.storage.client
    stage.objects.process.kill()

    with pytest.raises(StorageError) as caught:
        write_sheet(stage.storage, RUN)
    assert not caught.value.permanent


def test_lines_that_are_no_results_are_named(stage: Stage) -> None:
    """The error names the file and the line."""
    stage.storage.put(f"runs/{RUN}/results-00001.jsonl", b'{"row": 1}\nfox\n', content_type="text/plain")

    with pytest.raises(StorageError, match=r"results-00001\.jsonl, line 2: Expecting value"):
        write_sheet(stage.storage, RUN)


def test_nothing_is_left_on_disk(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The rows wait in a file that goes with the work, also where that breaks."""
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    stage.finish([line(1)])
    write_sheet(stage.storage, RUN)
    stage.finish([{"row": "one"}])
    with pytest.raises(StorageError):
        write_sheet(stage.storage, RUN)

    assert list(scratch.iterdir()) == []


def _claiming(png: bytes, *, width: int, height: int) -> bytes:
    """A PNG whose head claims another size, with the checksum to match."""
    head = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + head + struct.pack(">I", zlib.crc32(head)) + png[33:]
