"""Adapters of files keep the contract of all adapters, and decide the ambiguities as their twins in Python do."""

from __future__ import annotations

from typing import ClassVar

from bide.providers.base import Provider
from tests.contract import test_cyberphotobooth, test_dreambooth, test_photogpt
from tests.contract.declared_twins import LEFT_OUT, twin
from tests.contract.provider_contract import ProviderContract
from tests.contract.samples import SAMPLES, Sample, load


class TestCyberPhotoBoothInAFile(test_cyberphotobooth.TestCyberPhotoBooth):
    """Pictures inside JSON, both ways."""

    @property
    def adapter(self) -> Provider:
        return twin(self.name)

    def test_ambiguity_09_base64_goes_out_without_a_prefix(self) -> None:
        """Pictures in inputs do; a file checks no texts inside of a param that is an object."""
        call = self.adapter.submit_call(self.submissions["generate"], self.account)
        assert call.json["params"]["Face"] == test_cyberphotobooth.PICTURE.base64


class TestDreamboothInAFile(test_dreambooth.TestDreambooth):
    """The key in the body, errors under HTTP 200."""

    @property
    def adapter(self) -> Provider:
        return twin(self.name)


class TestPhotoGPTInAFile(ProviderContract):
    """An envelope; pictures alone, so that the twin's tests of videos and trainings are not its own."""

    name = "photogpt"
    submissions: ClassVar = {
        operation: submission
        for operation, submission in test_photogpt.TestPhotoGPT.submissions.items()
        if operation not in LEFT_OUT["photogpt"]
    }

    @property
    def adapter(self) -> Provider:
        return twin(self.name)

    @classmethod
    def samples(cls) -> list[Sample]:
        known = load(SAMPLES / cls.name)
        return [sample for sample in known if sample.operation not in LEFT_OUT["photogpt"]]
