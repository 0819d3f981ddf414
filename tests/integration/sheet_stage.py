"""A finished run for tests of its contact sheet: results and originals in a real store, as the engine leaves them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bide.storage import Storage, StorageOptions
from tests.integration.object_store import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, ObjectStore

RUN = "nightly-20261122T0130Z"

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)> \"'` &amp; {{ 7*7 }} ${7*7}"

Line = dict[str, Any]


def picture(width: int = 48, height: int = 32, *, file_format: str = "PNG", colour: str = "teal") -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, file_format)
    return file.getvalue()


def output(key: str, content: bytes = b"", **other: Any) -> dict[str, Any]:
    """An output as a line of the results has it."""
    fields = {"bucket": BUCKET, "key": key, "content_type": "image/png", "size": len(content), "sha256": "0" * 64}
    fields |= {"width": 48, "height": 32, "role": "image", **other}
    return {"uri": f"s3://{fields['bucket']}/{key}", **fields}


def line(row: int, *outputs: dict[str, Any], state: str = "succeeded", prompt: str = "a red fox", **other: Any) -> Line:
    """What the results say of one row; one that did not succeed has a reason."""
    failed = {"code": "rejected", "message": f"refused: row {row}", "job_id": f"{RUN}.{row}"}
    return {
        "row": row,
        "job_id": f"{RUN}.{row}",
        "state": state,
        "request": {"provider": "photogpt", "operation": "images.generation", "params": {"prompt": prompt}},
        "outputs": list(outputs),
        "error": None if state == "succeeded" else failed,
        "polls": 3,
        "submitted_at": "2026-11-22T01:30:00+00:00",
        "finished_at": "2026-11-22T01:31:05+00:00",
        **other,
    }


@dataclass(frozen=True)
class Stage:
    """A store and the run in it."""

    folder: Path
    objects: ObjectStore
    storage: Storage

    @property
    def page(self) -> Path:
        """The first page, where the store keeps its files."""
        return self.folder / "objects" / BUCKET / "runs" / RUN / "index.html"

    def put(self, key: str, content: bytes, content_type: str = "image/png") -> dict[str, Any]:
        """Store an original; it as an output."""
        self.storage.put(key, content, content_type=content_type)
        return output(key, content, content_type=content_type)

    def finish(self, lines: Iterable[Line], *, part: int = 1, summary: Mapping[str, Any] | None = None) -> None:
        """Write results in a part, and the summary."""
        text = "".join(f"{json.dumps(one)}\n" for one in lines)
        self.storage.put(f"runs/{RUN}/results-{part:05}.jsonl", text.encode(), content_type="application/x-ndjson")
        figures = json.dumps(summary or {"polls": 12, "percentiles": {"p50": 4.25}, "codes": {"rejected": 1}})
        self.storage.put(f"runs/{RUN}/summary.json", figures.encode(), content_type="application/json")

    def read(self, name: str = "index.html") -> str:
        """A page as it lies in the store."""
        return self.objects.read(f"runs/{RUN}/{name}")[0].decode()

    def pages(self) -> list[str]:
        """The names of all pages, in order."""
        names = (key.rpartition("/")[2] for key in self.objects.names(f"runs/{RUN}/"))
        return [name for name in names if name.endswith(".html")]


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A stage with a store of its own, for as long as the block lasts."""
    objects = ObjectStore(folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        storage = Storage(
            StorageOptions(BUCKET, endpoint_url=objects.url, region=REGION, connect_timeout_seconds=2, max_attempts=1)
        )
        try:
            objects.process.start()
            yield Stage(folder, objects, storage)
        finally:
            storage.client.close()
            objects.process.kill()
