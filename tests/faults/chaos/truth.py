"""What was stored, held against what the provider made: byte by byte, each object of each job."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.faults.chaos.bill import Purchase
from tests.faults.chaos.stage import Stage
from tests.integration.object_store import BUCKET

#: First bytes of the files that the simulated providers make, and how they call them.
_FORMATS = {b"\x89PNG": "png", b"RIFF": "webp", b"\xff\xd8": "jpg"}

#: How the store calls what it is writing; a killed one leaves it behind, and lists it.
UNFINISHED = ".tmp."

#: Where each provider keeps the files of a job.
_FILES = {
    "cyberphotobooth": ("/cyberphotobooth/s3/{id}/0.{format}",),
    "dreambooth": ("/dreambooth/generations/{id}-0.{format}",),
    "nextry": ("/image/generation_result/{id}_stock.png", "/image/generation_result/{id}_preview.webp"),
    "guild": ("/guild/v1/pictures/{id}.png",),
    "photogpt": ("/photogpt/media/images/{id}-0.{format}",),
}


class Truth:
    """The bucket and the providers' own files of one run."""

    def __init__(self, stage: Stage, purchases: Mapping[str, list[Purchase]]) -> None:
        self._stage, self._purchases = stage, purchases
        self._client = stage.store.client()
        self._objects = self._list()

    def wrongs(self, names: list[str]) -> list[str]:
        """What is wrong with the objects of jobs whose callers have a success."""
        with ThreadPoolExecutor(8) as pool:
            return [wrong for found in pool.map(lambda name: list(self._wrong(name)), names) for wrong in found]

    def _list(self) -> dict[str, list[str]]:
        objects: dict[str, list[str]] = defaultdict(list)
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for entry in page.get("Contents", ()):
                folder, name = entry["Key"].split("/")[-2:]
                if not name.startswith(UNFINISHED):
                    objects[folder].append(entry["Key"])
        return objects

    def _wrong(self, name: str) -> Iterator[str]:
        keys = sorted(self._objects[name])
        bought = self._purchases.get(name, [])
        files = [key for key in keys if not key.endswith("/job.json")]
        if not bought or len(files) != len(_FILES[bought[0].account.provider]) or len(keys) != len(files) + 1:
            yield f"{name}: succeeded, was bought {len(bought)} times and has {keys}"
            return
        contents = [self._read(key) for key in files]
        for number, content in enumerate(contents):
            if content not in self._made(bought, number, content):
                yield f"{name}: {files[number]} is not what the provider made"
        outputs = json.loads(self._read(keys[-1]))["outputs"]
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        written = [(one["key"], one["sha256"]) for one in outputs if isinstance(one, dict)]
        if written and written != list(zip(files, digests, strict=True)):
            yield f"{name}: job.json says {outputs}"

    def _made(self, bought: list[Purchase], number: int, like: bytes) -> Iterator[bytes]:
        """One file of each purchase of a job, in the format of a stored one."""
        extension = next((end for magic, end in _FORMATS.items() if like.startswith(magic)), "png")
        for one in bought:
            path = _FILES[one.account.provider][number].format(id=one.id, format=extension)
            with urllib.request.urlopen(self._stage.sandbox.base_url + path, timeout=30) as answer:
                yield answer.read()

    def _read(self, key: str) -> bytes:
        content: bytes = self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content
