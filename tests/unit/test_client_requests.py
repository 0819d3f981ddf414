"""What a client accepts, and what becomes of it before it travels."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bide.client.outputs import Presigner, object_store, presigned
from bide.client.requests import UPLOAD_ABOVE_BYTES, Request, check_job_id, checked
from bide.contract import GenerateRequest, JobResult
from bide.errors import ConfigurationError, InvalidRequestError
from bide.params import Params, cyberphotobooth, dreambooth, nextry, photogpt
from bide.providers import installed

FOX = photogpt.ImagesGeneration(modelID="m1", prompt="a red fox", newField="passes")

RESULT: dict[str, Any] = {
    "job_id": "a",
    "provider": "photogpt",
    "operation": "images.generation",
    "polls": 1,
    "finished_at": "2026-01-01T00:00:00Z",
    "outputs": [
        {
            "uri": "s3://bucket/a/0.png",
            "bucket": "bucket",
            "key": "a/0.png",
            "content_type": "image/png",
            "size": 1,
            "sha256": "0" * 64,
        }
    ],
}


class Store:
    """An object store that only remembers."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def put(self, key: str, body: Any, *, content_type: str, metadata: Any = None) -> None:
        self.kept[key] = body

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"

    def presign(self, uri: str, *, expires_seconds: int) -> str:
        return f"https://example.com/{uri.removeprefix('s3://')}?for={expires_seconds}"


def test_typed_params_make_a_request() -> None:
    """They know their provider and operation; only fields that were set are sent, and unknown fields pass."""
    request, adapter = checked(FOX, {"idempotency_key": "k", "metadata": {"order": "1"}}, None)

    params: dict[str, Any] = {"modelID": "m1", "prompt": "a red fox", "newField": "passes"}
    assert request == GenerateRequest(
        provider="photogpt", operation="images.generation", params=params, idempotency_key="k", metadata={"order": "1"}
    )
    assert adapter.name == "photogpt"


@pytest.mark.parametrize(
    "params",
    [
        FOX,
        photogpt.ImagesUpscaling(imageID="i"),
        photogpt.VideosGeneration(modelID="m", prompt="a fox runs"),
        photogpt.ModelsTrain(modelID="m"),
        dreambooth.Text2Img(model_id="m", prompt="a fox", width=512),
        dreambooth.Img2Img(model_id="m", prompt="a fox", init_image="https://example.com/a.png"),
        nextry.GenerateImage(tool="fabric"),
        cyberphotobooth.Generate(mode="style_sdxl_zero", style="Fox"),
    ],
    ids=lambda params: f"{params.provider}-{params.operation}",
)
def test_every_operation_has_typed_params(params: Params) -> None:
    """Each model is the one by which its adapter checks, and is accepted by it."""
    assert installed()[params.provider].operations[params.operation].params is type(params)
    assert checked(params, {}, None)[0].operation == params.operation


def test_no_operation_is_without_typed_params() -> None:
    """A new operation brings its model along."""
    for name, adapter in installed().items():
        for operation, offered in adapter.operations.items():
            assert (offered.params.provider, offered.params.operation) == (name, operation)


def test_wrong_params_are_refused_where_they_are_written() -> None:
    """At once, by field, and without the value."""
    with pytest.raises(ValidationError, match="modelID") as refused:
        photogpt.ImagesGeneration(modelID="", prompt="secret wish")
    assert "secret wish" not in str(refused.value)


def test_params_of_nothing_are_refused() -> None:
    """A model that serves an adapter alone does not say what it is for."""
    with pytest.raises(InvalidRequestError, match="does not say its provider"):
        checked(Params(), {}, None)


@pytest.mark.parametrize(
    "request_",
    [
        {"provider": "photogpt", "operation": "images.generation", "params": {"modelID": "m1", "prompt": "a fox"}},
        GenerateRequest(
            provider="photogpt", operation="images.generation", params={"modelID": "m1", "prompt": "a fox"}
        ),
    ],
)
def test_options_win_over_the_request(request_: Request) -> None:
    """Whatever form the request has."""
    request, _ = checked(request_, {"account": "second", "priority": "bulk"}, None)
    assert (request.account, request.priority) == ("second", "bulk")


def test_a_misspelt_option_is_refused() -> None:
    """A type checker finds it first; without a checker the client refuses it."""
    with pytest.raises(InvalidRequestError, match="deadline_second: is not a known field"):
        checked(FOX, {"deadline_second": 5}, None)  # type: ignore[typeddict-unknown-key]  # on purpose


@pytest.mark.parametrize("job_id", [5, b"job", ["job"], {"job": 1}, "", "a/b", "a\n"])
def test_a_job_id_of_another_form_is_refused(job_id: object) -> None:
    """A number, too, as the request's other mistakes are."""
    with pytest.raises(InvalidRequestError, match="job_id: letters"):
        check_job_id(job_id)


def test_inputs_travel_or_are_uploaded(tmp_path: Path) -> None:
    """Small ones as base64, large ones by their address, under a name made of their content."""
    store, large = Store(), b"x" * (UPLOAD_ABOVE_BYTES + 1)
    (tmp_path / "large.png").write_bytes(large)
    params = nextry.GenerateImage(tool="fabric")

    request, _ = checked(params, {"inputs": {"person": b"small", "clothes": tmp_path / "large.png"}}, store)

    assert request.inputs["person"] == base64.b64encode(b"small").decode()
    [(key, content)] = store.kept.items()
    assert (request.inputs["clothes"], content) == (f"s3://bucket/{key}", large)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By input and path."""
    with pytest.raises(InvalidRequestError, match=r"inputs.person: .*none.png can't be read: No such file"):
        checked(nextry.GenerateImage(tool="fabric"), {"inputs": {"person": tmp_path / "none.png"}}, None)


def test_results_get_addresses() -> None:
    """Each output has a `url` beside all that it had."""
    result = JobResult.model_validate(RESULT, strict=False)

    signed = presigned(result, Store(), seconds=60.5)

    assert [output.url for output in signed.outputs] == ["https://example.com/bucket/a/0.png?for=60"]
    assert signed.outputs[0].model_dump(exclude={"url"}) == result.outputs[0].model_dump()


def test_addresses_need_a_store() -> None:
    """Without one the error says what to install and what to pass."""
    with pytest.raises(ConfigurationError, match=r"pip install 'bide\[s3\]'.*object_store"):
        presigned(JobResult.model_validate(RESULT, strict=False), None, seconds=60)


def test_a_store_of_the_deployment() -> None:
    """`object_store` gives what a client needs, and does not connect."""
    store = object_store("bucket", endpoint_url="http://127.0.0.1:9", region="us-east-1")
    assert store.uri("a") == "s3://bucket/a"
    assert isinstance(store, Presigner)


def test_a_store_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where boto3 is missing the error says how to get it."""
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'bide\[s3\]'"):
        object_store("bucket")


@pytest.mark.parametrize("request_", [None, "x", 3, ["a"], [("provider", "photogpt")]])
def test_what_is_no_object_is_refused(request_: Any) -> None:
    """With the error that callers of `submit` know."""
    with pytest.raises(InvalidRequestError, match=r"^request: must be a JSON object, not "):
        checked(request_, {}, None)
