"""Params as a raw message brings them: misspelt, doubled or blank, they buy nothing; bide warns of unknown ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.client import Client
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.raw_message import push_text
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig"), pytest.mark.timeout(120)]


def test_a_name_that_stands_twice_buys_nothing(rig: Rig, caller: Caller) -> None:
    """The caller is answered, and neither of the two values is bought."""
    marked = marker()
    twice = json.dumps(image(marked)).replace('"numImages": 1', '"numImages": 1, "numImages": 4')

    result = caller.result_of(push_text(rig, f'[[], {{"request": {twice}}}, {{}}]'))

    eventually(lambda: result.state == "FAILURE", what="it is refused")
    refusal = json.loads(str(result.result))
    assert (refusal["code"], "stands twice" in refusal["message"]) == ("invalid_request", True)
    assert rig.purchases(marked) == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"numImage": 4}, "params.numImage: is not a known field; did you mean numImages?"),
        ({"num_images": 4}, "did you mean numImages?"),
        ({"prompt": " \u200b\u3164 "}, "params.prompt: holds nothing but blanks"),
    ],
)
def test_what_is_misspelt_or_blank_buys_nothing(rig: Rig, caller: Caller, params: dict[str, Any], words: str) -> None:
    """A message that no client of bide has checked is refused by the worker."""
    before = len(rig.sandbox.purchases())
    refusal = failure(caller.submit(image(marker(), params=params)))
    assert (refusal["code"], words in refusal["message"]) == ("invalid_request", True)
    assert len(rig.sandbox.purchases()) == before


def test_an_unknown_field_is_warned_of(rig: Rig, caller: Caller) -> None:
    """In the result, in `job.json` and by the client; a job whose fields are known has no warnings."""
    warning = "params.guidance: is no field that bide knows; it goes to the provider as it is"
    result = succeeded(caller.submit(image(marker(), params={"guidance": 3})))
    assert result["warnings"] == [warning]
    place = result["outputs"][0]["key"].rpartition("/")[0]
    assert json.loads(rig.store.read(f"{place}/job.json")[0])["warnings"] == [warning]
    with Client(rig.redis.url) as client:
        found = client.result(result["job_id"])
        assert found is not None
        assert found.warnings == (warning,)
    assert "warnings" not in succeeded(caller.submit(image(marker())))
