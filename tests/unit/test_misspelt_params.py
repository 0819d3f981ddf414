"""Misspelt params buy nothing: near misses are refused by the name that was meant, of other fields bide warns."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.bulk.intake import Intake, take_in
from bide.bulk.rates import estimate, refuses_unknown_params
from bide.bulk.reading import RawRow
from bide.cli.explain import explained
from bide.client.requests import checked
from bide.contract import GenerateRequest, JobResult
from bide.errors import InvalidRequestError
from bide.ledger import AccountName
from bide.ledger.snapshot import take_snapshot
from bide.params import photogpt
from bide.providers import find, installed
from bide.providers.base import Params
from bide.providers.check import check_params, refuse_unknown, warnings_of
from bide.settings.model import Settings
from bide.spelling import nearest
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.integration.caller import image
from tests.unit.command import Command
from workers.accounts import Accounts
from workers.accounts import refuses_unknown_params as refused_by_settings

IMAGES = {"modelID": "m1", "prompt": "a fox"}
VIDEOS = {"modelID": "m1", "prompt": "a fox runs"}
TEXT = {"model_id": "m", "prompt": "a fox"}
BOOTH = {"mode": "m", "style": "s"}

#: Provider, operation, good params, a misspelt field, and the field that was meant.
MISSPELT = [
    ("photogpt", "images.generation", IMAGES, "numImage", "numImages"),
    ("photogpt", "images.generation", IMAGES, "num_images", "numImages"),
    ("photogpt", "images.generation", IMAGES, "NumImages", "numImages"),
    ("photogpt", "images.generation", IMAGES, "numimages", "numImages"),
    ("photogpt", "images.generation", IMAGES, "numIamges", "numImages"),
    ("photogpt", "images.generation", IMAGES, "num-images", "numImages"),
    ("photogpt", "images.generation", IMAGES, "aspect_ratio", "aspectRatio"),
    ("photogpt", "images.generation", IMAGES, "aspectRation", "aspectRatio"),
    ("photogpt", "images.generation", IMAGES, "hieght", "height"),
    ("photogpt", "images.generation", IMAGES, "sede", "seed"),
    ("photogpt", "images.generation", IMAGES, "step", "steps"),
    ("photogpt", "images.generation", IMAGES, "referenceImageUrls", "referenceImageURLs"),
    ("photogpt", "images.generation", IMAGES, "style_strength", "styleStrength"),
    ("photogpt", "videos.generation", VIDEOS, "numVideo", "numVideos"),
    ("photogpt", "videos.generation", VIDEOS, "referenceImage", "referenceImages"),
    ("dreambooth", "text2img", TEXT, "sample", "samples"),
    ("dreambooth", "text2img", TEXT, "negativePrompt", "negative_prompt"),
    ("dreambooth", "text2img", TEXT, "num_inference_step", "num_inference_steps"),
    ("dreambooth", "text2img", TEXT, "guidanceScale", "guidance_scale"),
    ("dreambooth", "text2img", TEXT, "safety_cheker", "safety_checker"),
    ("dreambooth", "text2img", TEXT, "widht", "width"),
    ("dreambooth", "text2img", TEXT, "base46", "base64"),
    ("nextry", "generate_image", {"tool": "fabric"}, "promt", "prompt"),
    ("cyberphotobooth", "generate", BOOTH, "returnS3Link", "return_s3_link"),
    ("cyberphotobooth", "generate", BOOTH, "Params", "params"),
]

#: Fields that the providers' pages name, or that are near none.
OTHERS = [
    ("photogpt", "images.generation", IMAGES, ("runType", "enhanceFace", "styleStrength")),
    ("photogpt", "images.generation", IMAGES, ("guidance", "quality", "negativePrompt", "prompt_2", "x")),
    ("photogpt", "videos.generation", VIDEOS, ("referenceVideos", "elementIDs", "duration")),
    ("dreambooth", "text2img", TEXT, ("safety_checker_type", "lora_model", "embeddings_model", "tomesd", "vae")),
    ("dreambooth", "text2img", TEXT, ("seed", "steps", "upscale", "temp", "base64", "use_karras_sigmas", "scheduler")),
    ("dreambooth", "img2img", {**TEXT, "init_image": "https://a.example/a.png"}, ("strength", "clip_skip")),
    ("nextry", "generate_image", {"tool": "fabric"}, ("prompt", "generation_type", "anything", "person")),
    ("cyberphotobooth", "generate", BOOTH, ("event", "logo_base64", "logo_pos_x", "logo_pos_y", "anything")),
]


@pytest.mark.parametrize(("provider", "operation", "params", "given", "meant"), MISSPELT)
def test_a_near_miss_is_refused_by_the_name_that_was_meant(
    provider: str, operation: str, params: dict[str, Any], given: str, meant: str
) -> None:
    """Also beside the right one; and where others read the message, without the request's own word."""
    for rest in ({}, {meant: params.get(meant, 1)}):
        with pytest.raises(InvalidRequestError, match=rf"did you mean {meant}\?") as refused:
            find(provider).check(operation, {**params, **rest, given: 4}, set())
        assert f"params.{given}: is not a known field; did you mean {meant}?" in str(refused.value)
        assert f"params.{given}:" not in refused.value.redacted
        assert f"is not a known field; did you mean {meant}?" in refused.value.redacted


@pytest.mark.parametrize(("provider", "operation", "params", "names"), OTHERS)
def test_documented_fields_and_others_pass(
    provider: str, operation: str, params: dict[str, Any], names: tuple[str, ...]
) -> None:
    """What a page of the provider names is no near miss of anything; what is near nothing passes, too."""
    adapter = find(provider)
    for name in names:
        adapter.check(operation, {**params, name: "x"}, set())


@pytest.mark.parametrize(
    ("provider", "operation"), [(name, each) for name, adapter in installed().items() for each in adapter.operations]
)
def test_no_known_field_is_near_miss_of_another(provider: str, operation: str) -> None:
    """All fields that are declared and documented pass by themselves."""
    model = find(provider).operations[operation].params
    for name in model.others:
        assert name not in model.model_fields
    assert warnings_of(model, dict.fromkeys(model.known(), 1)) == ()


def test_a_missing_field_names_the_near_miss_that_was_given() -> None:
    """One problem stands in the message once."""
    check = find("photogpt").check
    with pytest.raises(InvalidRequestError) as refused:
        check("images.generation", {"modelId": "m1", "prompt": "a fox"}, set())
    assert str(refused.value) == "params.modelID: is required; modelId was given: did you mean modelID?"
    assert refused.value.redacted == "params.modelID: is required; field 1 was given: did you mean modelID?"
    with pytest.raises(InvalidRequestError, match=r"model_id: is required; model was given: did you mean model_id\?"):
        find("dreambooth").check("text2img", {"model": "m", "prompt": "a fox"}, set())
    with pytest.raises(InvalidRequestError, match=r"prompt is required .*params\.promt: .*did you mean prompt\?"):
        check("images.generation", {"modelID": "m1", "promt": "a fox"}, set())
    with pytest.raises(InvalidRequestError, match=r"imageID: is required; imageId was given: did you mean imageID\?"):
        check("images.upscaling", {"imageId": "i"}, set())
    with pytest.raises(InvalidRequestError, match=r"modelID: is required; model_id was given: did you mean modelID\?"):
        check("models.train", {"model_id": "i"}, set())


def test_a_field_of_the_request_itself_is_named_too() -> None:
    """The same help one level up."""
    with pytest.raises(InvalidRequestError, match=r"provider: is required; providr was given: did you mean provider\?"):
        GenerateRequest.parse({"providr": "photogpt", "operation": "images.generation"})
    with pytest.raises(InvalidRequestError, match=r"deadline_second: is not a known field; did you mean deadline_sec"):
        GenerateRequest.parse(image("a fox", deadline_second=5))


@given(st.text(max_size=80))
def test_a_name_is_never_its_own_near_miss(name: str) -> None:
    """And any text can be compared."""
    assert nearest(name, [name]) is None
    assert nearest(name, ["numImages"]) in (None, "numImages")


def test_very_many_unknown_fields_take_no_time() -> None:
    """A hostile request as large as may be is checked within a second or so."""
    params = IMAGES | {f"p{number:x}": 0 for number in range(20_000)}
    begun = time.process_time()
    find("photogpt").check("images.generation", params, set())
    assert len(warnings_of(photogpt.ImagesGeneration, params)) == 11
    assert time.process_time() - begun < 3


# Warnings


def test_unknown_fields_are_warned_of_in_the_result_and_in_explain() -> None:
    """The same words in both, and nothing where all is known."""
    stage = Stage.in_memory()
    params = {**IMAGES, "guidance": 3, "quality": "high"}
    stage.running("a", params=params)
    record = stage.ledger.jobs.read(ACCOUNT, "a")
    assert record is not None
    warnings = find("photogpt").warnings("images.generation", params)
    assert warnings == (
        "params.guidance: is no field that bide knows; it goes to the provider as it is",
        "params.quality: is no field that bide knows; it goes to the provider as it is",
    )
    assert explained(take_snapshot(stage.ledger, record), [])["warnings"] == [*warnings]
    shown = Command(stage)("explain", "a").output
    assert "  warning    params.guidance: is no field" in shown
    assert "             params.quality: is no field" in shown
    stage.running("b")
    assert "warning" not in Command(stage)("explain", "b").output


def test_typed_params_are_checked_by_the_client() -> None:
    """Python takes any further keyword; the client refuses the misspelt one before anything is enqueued."""
    params = photogpt.ImagesGeneration(modelID="m1", prompt="a fox", numImage=4)
    with pytest.raises(InvalidRequestError, match=r"did you mean numImages\?"):
        checked(params, {}, None)


def test_the_command_warns_when_it_submits() -> None:
    """Beside the job's id, where scripts do not read it."""

    class Buyer:
        def submit(self, _: object) -> str:
            return "job-1"

    named = ("submit", "photogpt", "images.generation", "-p", "modelID=m1", "-p", "prompt=a fox")
    done = Command(Stage.in_memory(), Buyer())(*named, "-p", "guidance=3")
    assert done.stdout == "job-1\n"
    assert "warning: params.guidance: is no field that bide knows" in done.stderr
    assert Command(Stage.in_memory(), Buyer())(*named).stderr == ""


def test_a_result_has_warnings_only_where_there_are_some() -> None:
    """A client of the release before reads all other results."""
    result = JobResult(
        job_id="a", provider="p", operation="o", polls=0, outputs=(), finished_at=datetime(2026, 11, 30, tzinfo=UTC)
    )
    assert "warnings" not in result.to_wire()
    warned = result.model_copy(update={"warnings": ("params.x: is no field",)})
    assert JobResult.model_validate_json(json.dumps(warned.to_wire())) == warned


def test_a_model_without_fields_knows_nothing_to_warn_of() -> None:
    """As of a provider by plug-in that checks nothing."""
    assert warnings_of(Params, {"anything": 1}) == ()
    check_params(Params, {"anything": 1})


# Refused where the deployment says so


def test_a_deployment_can_refuse_unknown_fields() -> None:
    """By provider or by account; the message says which setting does, and what is known."""
    settings = Settings(
        providers={
            "photogpt": {
                "api_key": "k",
                "unknown_params": "refuse",
                "accounts": {"lax": {"api_key": "k", "unknown_params": "warn"}, "strict": {"api_key": "k"}},
            },
            "dreambooth": {"api_key": "k"},
        }
    )
    accounts = Accounts(settings)
    request = GenerateRequest.parse(image("a fox", params={"guidance": 3}))
    for name in ("default", "strict"):
        account = AccountName("photogpt", name)
        assert refused_by_settings(settings, account)
        with pytest.raises(InvalidRequestError, match=r"PHOTOGPT__UNKNOWN_PARAMS=refuse.*known are aspect") as refused:
            accounts.get(account).check(request)
        assert "params.guidance: is no field that bide knows" in str(refused.value)
        assert "guidance" not in refused.value.redacted
    accounts.get(AccountName("photogpt", "lax")).check(request)
    assert not refused_by_settings(settings, AccountName("photogpt", "lax"))
    assert not refused_by_settings(settings, AccountName("dreambooth", "default"))
    assert not refused_by_settings(settings, AccountName("nextry", "default"))


def test_what_is_known_is_never_refused() -> None:
    """Declared and documented fields pass the strictest deployment."""
    for adapter in installed().values():
        for operation in adapter.operations.values():
            refuse_unknown(operation.params, dict.fromkeys(operation.params.known(), 1), variable="V")


# Rows of bulk runs


def taken(rows: list[dict[str, Any]], environment: dict[str, str]) -> Intake:
    """An intake of rows, as the command makes one."""
    raw = [RawRow(line, lambda _, each=each: each) for line, each in enumerate(rows, start=1)]  # type: ignore[misc]  # mypy can't infer the default
    return take_in(raw, refuses=lambda account: refuses_unknown_params(environment, account))


def test_a_misspelt_row_stops_the_run() -> None:
    """Its line and the name that was meant are reported, and nothing of the file."""
    intake = taken([image("a"), image("b", params={"numImage": 4})], {})
    assert [str(each) for each in intake.problems] == [
        "line 2: params.field 4: is not a known field; did you mean numImages?"
    ]
    intake.close()


def test_rows_with_unknown_fields_are_counted_or_refused() -> None:
    """By the variable of provider or account."""
    rows = [image("a"), image("b", params={"guidance": 4}), image("c", params={"guidance": 5})]
    intake = taken(rows, {})
    assert (intake.problems, intake.unknown_params) == ([], 2)
    assert "2 rows have params that bide does not know" in "\n".join(estimate(intake, {}).lines())
    intake.close()
    refused = taken(rows, {"BIDE_PROVIDERS__PHOTOGPT__UNKNOWN_PARAMS": "refuse"})
    assert refused.problem_count == 2
    assert "params.field 4: is no field that bide knows" in str(refused.problems[0])
    refused.close()
    own = {"BIDE_PROVIDERS__PHOTOGPT__UNKNOWN_PARAMS": "refuse"}
    own |= {"BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__DEFAULT__UNKNOWN_PARAMS": "warn"}
    assert not refuses_unknown_params(own, ACCOUNT)
