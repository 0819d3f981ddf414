"""What a killed object store left half written is cleared before the next one starts; nothing else is."""

from __future__ import annotations

from pathlib import Path

from workers.embedded.objects import clear


def test_only_what_was_half_written_is_cleared(tmp_path: Path) -> None:
    """Descriptions and objects under the names that nanio writes to; whole ones stay, also those called alike."""
    meta = tmp_path / "bucket" / ".nanio-meta" / "2026"
    meta.mkdir(parents=True)
    (tmp_path / "bucket" / "2026").mkdir()
    halves = [meta / "0.png.json.tmp", tmp_path / "bucket" / "2026" / ".tmp.0123456789abcdef0123456789abcdef"]
    wholes = [meta / "0.png.json", tmp_path / "bucket" / "2026" / "0.png", tmp_path / "bucket" / "2026" / "notes.tmp"]
    for path in (*halves, *wholes):
        path.touch()

    clear(tmp_path)

    assert not any(path.exists() for path in halves)
    assert all(path.exists() for path in wholes)
