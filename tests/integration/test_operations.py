"""Every operation of every provider, from a plain Celery client to the objects in S3."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from celery.result import AsyncResult

from tests.integration.caller import PIXEL, Caller, marker, succeeded
from tests.integration.object_store import BUCKET
from tests.integration.rig import Rig

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

MARK = marker()

#: As documented, in section 3 of the design.
RESULT_FIELDS = {"job_id", "state", "provider", "operation", "provider_job_id", "polls", "submitted_at", "finished_at"}
RESULT_FIELDS |= {"metadata", "outputs"}
OUTPUT_FIELDS = {"uri", "bucket", "key", "content_type", "size", "sha256", "width", "height", "role"}


@dataclass(frozen=True)
class Case:
    """A request, and role and type of each object it must come to; types that may be one or the other, with `|`."""

    provider: str
    operation: str
    params: dict[str, Any]
    outputs: tuple[tuple[str, str], ...]
    inputs: dict[str, str] = field(default_factory=dict)
    account: str = "default"

    @property
    def request(self) -> dict[str, Any]:
        named = {"provider": self.provider, "operation": self.operation, "account": self.account}
        return {**named, "params": self.params, "inputs": self.inputs, "metadata": {"order": "1042"}}


WEB = "image/png|image/webp"

CASES = {
    "cyberphotobooth, inline": Case(
        "cyberphotobooth",
        "generate",
        {"mode": "image_text", "style": 1029, "params": {"Prompt": f"{MARK} booth [images:2]"}},
        (("image", "image/jpeg"), ("image", "image/jpeg")),
    ),
    "cyberphotobooth, links": Case(
        "cyberphotobooth",
        "generate",
        {
            "mode": "photo",
            "style": "1046",
            "return_s3_link": True,
            "params": {"Sex": "man", "Prompt": f"{MARK} [video]"},
        },
        (("image", "image/jpeg"), ("video", "video/mp4")),
        inputs={"Face": PIXEL},
    ),
    "dreambooth, text2img": Case(
        "dreambooth",
        "text2img",
        {"model_id": "midjourney", "prompt": f"{MARK} castle", "samples": 2},
        (("image", "image/png"), ("image", "image/png")),
    ),
    "dreambooth, text2img at once": Case(
        "dreambooth",
        "text2img",
        {"model_id": "midjourney", "prompt": f"{MARK} at once", "width": 256, "height": 320},
        (("image", "image/png"),),
    ),
    "dreambooth, img2img": Case(
        "dreambooth",
        "img2img",
        {"model_id": "midjourney", "prompt": f"{MARK} sketch", "samples": 2},
        (("image", "image/png"), ("image", "image/png")),
        inputs={"init_image": f"data:image/png;base64,{PIXEL}"},
    ),
    "nextry": Case(
        "nextry",
        "generate_image",
        {"tool": "fashion_swap", "prompt": f"{MARK} dress"},
        (("image", "image/png"), ("preview", "image/webp")),
        inputs={"clothes": PIXEL, "person": f"data:image/png;base64,{PIXEL}"},
        account="main",
    ),
    "photogpt, images": Case(
        "photogpt",
        "images.generation",
        {"modelID": "m1", "prompt": f"{MARK} fox", "numImages": 2, "aspectRatio": "16:9"},
        (("image", WEB), ("image", WEB)),
    ),
    "photogpt, upscaling": Case("photogpt", "images.upscaling", {"imageID": f"{MARK}-0"}, (("image", "image/png"),)),
    "photogpt, videos": Case(
        "photogpt", "videos.generation", {"modelID": "m1", "prompt": f"{MARK} waves"}, (("video", "video/mp4"),)
    ),
    "photogpt, a video that is a playlist": Case(
        "photogpt", "videos.generation", {"modelID": "m1", "prompt": f"{MARK} hls"}, (("video", "video/mp4"),)
    ),
    "photogpt, training": Case("photogpt", "models.train", {"modelID": MARK}, ()),
}


@pytest.fixture(scope="module")
def submitted(caller: Caller) -> dict[str, AsyncResult[Any]]:
    """All of them at once."""
    return {name: caller.submit({**case.request, "output_prefix": "tenant-a"}) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_an_operation_comes_home(name: str, submitted: dict[str, AsyncResult[Any]], rig: Rig) -> None:
    """The result has the documented fields, and what it says of the objects is true of the objects."""
    case, result = CASES[name], submitted[name]

    outcome = succeeded(result)

    check_result(outcome, case, result.id)
    known_as = outcome["provider_job_id"]  # a training is known by its model, its purchase as "train-MODEL"
    [bought] = [each for each in rig.sandbox.purchases() if each["id"] in (known_as, f"train-{known_as}")]
    assert (bought["provider"], MARK in bought["reference"]) == (case.provider, True)
    folder = f"tenant-a/{datetime.fromisoformat(outcome['submitted_at']):%Y/%m/%d}/{result.id}"
    names = [check_output(rig, outcome, number, case, folder) for number in range(len(case.outputs))]
    document, answer = rig.store.read(f"{folder}/job.json")
    assert json.loads(document) == outcome
    assert answer["ContentType"] == "application/json"
    stored = [key for key in rig.store.names(folder) if "/inputs/" not in key]
    assert stored == sorted([*names, f"{folder}/job.json"])


def check_result(document: dict[str, Any], case: Case, job_id: str) -> None:
    """Every field of the documented result, and no other."""
    assert document.keys() == RESULT_FIELDS
    assert (document["job_id"], document["state"]) == (job_id, "succeeded")
    assert (document["provider"], document["operation"]) == (case.provider, case.operation)
    assert document["metadata"] == {"order": "1042"}
    assert isinstance(document["polls"], int)
    assert document["polls"] >= (0 if "at once" in str(case.params) else 1)
    submitted_at, finished_at = (datetime.fromisoformat(document[name]) for name in ("submitted_at", "finished_at"))
    assert submitted_at <= finished_at <= datetime.now(UTC)
    assert len(document["outputs"]) == len(case.outputs)


def check_output(rig: Rig, document: dict[str, Any], number: int, case: Case, folder: str) -> str:
    """One object against what the result says of it; returns its key."""
    output, (role, types) = document["outputs"][number], case.outputs[number]
    assert output.keys() == OUTPUT_FIELDS
    assert output["role"] == role
    assert output["content_type"] in types.split("|")
    extension = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "video/mp4": "mp4"}
    assert output["key"] == f"{folder}/{number}.{extension[output['content_type']]}"
    assert (output["bucket"], output["uri"]) == (BUCKET, f"s3://{BUCKET}/{output['key']}")
    if role == "image":
        assert output["width"] > 0
        assert output["height"] > 0
    content, answer = rig.store.read(output["key"])
    assert len(content) == output["size"] > 0
    assert hashlib.sha256(content).hexdigest() == output["sha256"]
    assert answer["ContentType"] == output["content_type"]
    metadata = {"bide-job": document["job_id"], "bide-provider": case.provider, "bide-operation": case.operation}
    assert answer["Metadata"].pop("bide-ledger")
    assert answer["Metadata"] == {**metadata, "order": "1042", "sha256": output["sha256"]}
    return str(output["key"])
