"""Sound, bodies in three dimensions, weights, text and archives: taken where declared, by their bytes, and whole."""

from __future__ import annotations

import json
import random
import struct
import zlib
from contextlib import suppress

import pytest

from bide.errors import BadMediaError
from bide.providers.offering import PICTURES, MediaKind
from tests.kinds import ASCII_PLY, ENDLESS, GLTF, JSON, LINES, WHOLE, stl, tar, wav, zipped
from tests.media import kind_of, picture, real
from workers.io.sniff import EndsEarlyError, archives, words

ALL = frozenset(MediaKind)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_of_a_declared_kind_is_taken(name: str) -> None:
    """By its bytes; alone, and where anything is declared. It was checked, and has no width."""
    kind, content, content_type, ext = WHOLE[name]
    for kinds in (frozenset({kind}), ALL, PICTURES | {kind}):
        found = kind_of(content, kinds=kinds)
        assert (found.content_type, found.ext, found.warning, found.width) == (content_type, ext, "", None)


#: Files with bytes behind what counts, such as zeros or the last digits of a text.
MORE_THAN_COUNTS = {"TAR", "ASCII PLY", "ASCII STL", "lines of JSON", "MP3"}


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ENDLESS])
def test_a_cut_file_is_not_taken_for_whole(name: str) -> None:
    """Wherever it ends: nearly every one is refused, and no other is stored without a warning."""
    kind, content, *_ = WHOLE[name]
    refused, passed, cuts = 0, 0, range(len(content) - 1, min(40, len(content) // 2), -max(len(content) // 60, 1))
    for end in cuts:
        try:
            passed += not kind_of(content[:end], kinds=frozenset({kind})).warning
        except EndsEarlyError:
            refused += 1
    assert refused > 0.8 * len(cuts) or (refused and name in MORE_THAN_COUNTS | {"FBX", "old FBX"})
    assert not passed or name in MORE_THAN_COUNTS


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_not_declared_is_refused(name: str) -> None:
    """By name. An archive and a text are what they are, whatever their names say."""
    kind, content, *_ = WHOLE[name]
    others = {"USDZ": {MediaKind.ARCHIVE}, "PyTorch": {MediaKind.ARCHIVE}}.get(name, set())
    declares = others | {MediaKind.TEXT} if content.isascii() or name == "UTF-16" else others
    for other in ALL - PICTURES - {kind} - declares:
        with pytest.raises(BadMediaError, match="not "):
            kind_of(content, kinds=frozenset({other}))
    with suppress(BadMediaError):  # as ever: what no reader of pictures knows is stored with a warning
        assert kind_of(content).warning


@pytest.mark.parametrize("kind", sorted(ALL - PICTURES))
def test_pages_and_pictures_are_refused_where_other_kinds_are_declared(kind: MediaKind) -> None:
    """Also where text is declared: a page is an error of an edge, and no output."""
    pages = (b"<!DOCTYPE html><html>busy</html>", b"\n<?xml version='1.0'?><Error/>", b"#EXTM3U\n", b"", b"<svg/>")
    for content in (*pages, picture("PNG"), real("index_first.mp4"), b"%PDF-1.7\n%\xe2\xe3\0"):
        with pytest.raises(BadMediaError):
            kind_of(content, kinds=frozenset({kind}))


def test_a_text_may_begin_with_an_element_that_is_of_no_page() -> None:
    """As models write them; a server's page or error is refused."""
    for content in (b"<3 you", b"<think>Hm.</think>\nYes.", b"<answer>7</answer>"):
        assert kind_of(content, kinds=frozenset({MediaKind.TEXT})).ext == "txt"
    for content in (b"<p>Busy</p>", b"<Error><Code>AccessDenied</Code></Error>", b" <BODY>", b"<!-- x --><a>"):
        with pytest.raises(BadMediaError, match="page"):
            kind_of(content, kinds=frozenset({MediaKind.TEXT}))


def test_errors_say_what_is_wanted_and_what_came() -> None:
    """In the words of people."""
    for kinds, content, message in (
        ({MediaKind.AUDIO}, picture("PNG"), "not sound but PNG, a picture"),
        ({MediaKind.ARCHIVE}, JSON, "not an archive but JSON"),
        ({MediaKind.MODEL, MediaKind.ARCHIVE}, wav(), "neither a 3D model nor an archive but WAV, sound"),
        ({MediaKind.MODEL}, JSON, "not a 3D model but JSON that is no glTF"),
        ({MediaKind.WEIGHTS}, zipped("a"), "not model weights but ZIP, an archive"),
        ({MediaKind.TEXT}, real("box.glb"), "not text but GLB, a 3D model"),
        ({MediaKind.AUDIO}, real("index_first.mp4"), "not sound but MP4, a video"),
    ):
        with pytest.raises(BadMediaError) as refused:
            kind_of(content, kinds=frozenset(kinds))
        assert str(refused.value) == message


def test_what_nobody_can_name_is_stored_with_a_warning_whatever_is_declared() -> None:
    """A paid result that bide can't judge is not thrown away."""
    strange = bytes([1, 254]) + random.Random(3).randbytes(300)
    for kind in MediaKind:
        found = kind_of(strange, kinds=frozenset({kind}))
        assert (found.content_type, found.ext) == ("application/octet-stream", "bin")
        assert "could not be checked" in found.warning


UNREAD = {
    "pt": (MediaKind.WEIGHTS, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(60)),
    "h5": (MediaKind.WEIGHTS, b"\x89HDF\r\n\x1a\n" + bytes(range(60))),
    "7z": (MediaKind.ARCHIVE, b"7z\xbc\xaf\x27\x1c" + bytes(range(60))),
    "zst": (MediaKind.ARCHIVE, b"\x28\xb5\x2f\xfd" + bytes(range(60))),
    "blend": (MediaKind.MODEL, b"BLENDER-v300" + bytes(range(60))),
    "fbx": (MediaKind.MODEL, b"; FBX 7.3.0 project file\n; ----\n"),
    "mid": (MediaKind.AUDIO, b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk" + bytes(60)),
}


@pytest.mark.parametrize("ext", UNREAD)
def test_formats_without_a_reader_are_stored_with_a_warning(ext: str) -> None:
    """Under the type of their format."""
    kind, content = UNREAD[ext]
    found = kind_of(content, kinds=frozenset({kind}))
    assert found.ext == ext
    assert found.warning.endswith("could not be checked: bide does not read this format")


def test_a_writer_that_could_not_go_back_leaves_lengths_open() -> None:
    """A WAV from a pipe has no true length, nor has one that begins before its end is known."""
    for claimed in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
        assert kind_of(wav(claimed=claimed), kinds=frozenset({MediaKind.AUDIO})).warning == ""
    with pytest.raises(BadMediaError, match="no sound"):
        kind_of(wav(0), kinds=frozenset({MediaKind.AUDIO}))


def test_tags_around_sound_are_passed_over() -> None:
    """Before it with a picture in them, behind it, and zero bytes between."""
    sound = real("tone.mp3")
    before = b"ID3\4\0\0\0\0\x02\x00" + bytes(256 + 40)
    tagged = before + sound[sound.index(b"\xff\xf3") :] + b"TAG".ljust(128, b" ")
    assert kind_of(tagged, kinds=ALL).warning == ""
    with pytest.raises(EndsEarlyError):
        kind_of(b"ID3\4\0\0\0\0\x02\x00" + bytes(90), kinds=ALL)
    flac = real("tone.flac") + b"TAG".ljust(128, b" ")
    assert "last frame" in kind_of(flac, kinds=ALL).warning


def test_a_first_frame_that_counts_the_others_is_believed() -> None:
    """An MP3 that is cut between two frames is whole, frame by frame."""
    head = b"\xff\xfb\x90\xc4"
    counting = (head + bytes(17) + b"Xing" + struct.pack(">II", 1, 5)).ljust(417, b"\0")
    frame = head.ljust(417, b"\0")
    assert kind_of(counting + 5 * frame, kinds=ALL).ext == "mp3"
    with pytest.raises(EndsEarlyError):
        kind_of(counting + 3 * frame, kinds=ALL)


def test_an_ogg_without_its_last_page_is_not_judged() -> None:
    """It may be a stream that was never closed."""
    content = real("tone.ogg")
    assert "the last" in kind_of(content[: content.rindex(b"OggS")], kinds=ALL).warning


@pytest.mark.parametrize("cut", [-1, -40, 100])
def test_json_may_be_cut_anywhere(cut: int) -> None:
    """In a text, a word, a number or between two values."""
    content = json.dumps({"a": ["x" * 90, 1.5e-7, True, {"b": None}], "z": "end \u00fc"}).encode()
    for end in range(1, len(content)):
        with pytest.raises(EndsEarlyError):
            kind_of(content[:end], kinds=frozenset({MediaKind.TEXT}))
    with pytest.raises(EndsEarlyError):
        kind_of(LINES + content[:cut], kinds=frozenset({MediaKind.TEXT}))


def test_json_that_is_too_large_to_be_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last character is looked at."""
    monkeypatch.setattr(words, "MOST_JSON_BYTES", 20)
    assert "read whole" in kind_of(JSON + b"\n", kinds=frozenset({MediaKind.TEXT})).warning
    with pytest.raises(EndsEarlyError):
        kind_of(JSON[:-1], kinds=frozenset({MediaKind.TEXT}))
    many = b"[" + b"[]," * 300_000 + b"[]]"
    monkeypatch.setattr(words, "MOST_JSON_BYTES", len(many))
    assert "values" in kind_of(many, kinds=frozenset({MediaKind.TEXT})).warning
    assert "deep" in kind_of(b"[" * 200_000, kinds=frozenset({MediaKind.TEXT})).warning


def test_a_gltf_is_json_where_only_text_is_declared() -> None:
    """What a file is depends on what was ordered, where it is both."""
    assert kind_of(GLTF, kinds=frozenset({MediaKind.TEXT})).ext == "json"
    assert kind_of(JSON, kinds=frozenset({MediaKind.TEXT, MediaKind.MODEL})).ext == "json"


def test_a_zip_is_what_its_first_file_says_where_that_is_declared() -> None:
    """Weights in a ZIP are an archive to an operation of archives."""
    torch = zipped("archive/data.pkl")
    for kinds, ext in (({MediaKind.ARCHIVE}, "zip"), ({MediaKind.WEIGHTS}, "pt"), (ALL, "pt")):
        assert kind_of(torch, kinds=frozenset(kinds)).ext == ext


def test_a_zip_with_a_hole_in_it_is_cut() -> None:
    """Its end is there, and its directory says that bytes are missing."""
    content = zipped("a", "b", "c")
    with pytest.raises(EndsEarlyError, match="missing"):
        kind_of(content[:500] + content[700:], kinds=ALL)
    assert kind_of(content + b"PK", kinds=ALL).warning == ""


def test_a_cut_zip_with_a_zip_in_it_is_not_taken_for_whole() -> None:
    """The end of the inner one is not that of the outer one."""
    inner = zipped("a")
    outer = b"PK\3\4" + bytes(22) + struct.pack("<HH", 1, 0) + b"x" + inner
    assert "before it" in kind_of(outer, kinds=ALL).warning


def test_a_tar_without_an_end_mark_is_not_judged() -> None:
    """Some writers leave it out."""
    content = tar("a")
    assert "end" in kind_of(content[:1536], kinds=ALL).warning
    with pytest.raises(EndsEarlyError):
        kind_of(content[:1535], kinds=ALL)


def test_a_gzip_is_unpacked_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb costs a moment, and a damaged one is refused."""
    bomb = zlib.compress(bytes(3_000_000), 9, zlib.MAX_WBITS | 16)
    assert kind_of(bomb, kinds=ALL).warning == ""
    with pytest.raises(BadMediaError, match="can't be unpacked"):
        kind_of(bomb[:30] + b"\xff\xff\xff" + bomb[33:], kinds=ALL)
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1_000_000)
    assert "unpacked" in kind_of(bomb, kinds=ALL).warning


def test_a_binary_stl_is_known_by_its_triangles() -> None:
    """It has no mark: also a cut one is known, and random bytes are none."""
    kinds = frozenset({MediaKind.MODEL})
    assert kind_of(stl() + b"behind the end", kinds=kinds).ext == "stl"
    with pytest.raises(EndsEarlyError):
        kind_of(stl(40)[:-30], kinds=kinds)
    assert kind_of(stl()[:83] + random.Random(1).randbytes(900), kinds=kinds).ext == "bin"


def test_places_in_weights_are_checked() -> None:
    """A head that is whole, and names more than there is; one that is damaged; one without tensors."""
    for head, error in (
        ({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 17]}}, "early"),
        ({"a": {"data_offsets": [0]}}, "damaged"),
        ({"a": 7}, "damaged"),
        ({"a": {"data_offsets": [0, "x"]}}, "damaged"),
    ):
        text = json.dumps(head).encode()
        with pytest.raises(BadMediaError, match=error):
            kind_of(struct.pack("<Q", len(text)) + text + bytes(16), kinds=ALL)
    empty = b'{"__metadata__": {"format": "pt"}}'
    assert kind_of(struct.pack("<Q", len(empty)) + empty, kinds=ALL).ext == "safetensors"


def test_an_odd_ply_is_not_judged() -> None:
    """Of another format, of unknown numbers, or with a head without end."""
    for content, message in (
        (ASCII_PLY.replace(b"ascii", b"packed"), "unknown format"),
        (ASCII_PLY.replace(b"float", b"half"), "unknown type"),
        (b"ply\n" + b"comment x\n" * 9000, "long"),
    ):
        assert message in kind_of(content, kinds=ALL).warning


@pytest.mark.parametrize("seed", range(12))
def test_no_bytes_make_a_reader_fail(seed: int) -> None:
    """Files changed at random are whole, refused or can't be judged. No reader raises anything else."""
    chance = random.Random(seed)
    files = [content for _, content, *_ in WHOLE.values()]
    for _ in range(150):
        content = bytearray(chance.choice(files))
        for _ in range(chance.choice((1, 2, 9))):
            at = chance.randrange(min(len(content) or 1, chance.choice((40, 400, 40_000))))
            content[at : at + chance.choice((0, 1, 4))] = chance.choice(
                (b"\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\1", chance.randbytes(4), b"")
            )
        warning = ""
        with suppress(BadMediaError):
            warning = kind_of(bytes(content), kinds=ALL).warning
        assert "reader failed" not in warning, bytes(content)


def test_a_flac_that_was_made_to_keep_a_worker_busy_is_not_judged() -> None:
    """A megabyte of beginnings of frames, of which none is the last."""
    sound = real("tone.flac")
    head = sound[: sound.index(b"\xff\xf8")]
    frame = next(sound[at : at + 8] for at in range(len(head), len(sound)) if sound[at : at + 2] == b"\xff\xf8")
    longest = head[:15] + (600_000).to_bytes(3, "big") + head[18:]
    busy = longest + (frame + bytes(3000)) * 400
    assert "may be the last" in kind_of(busy, kinds=ALL).warning
