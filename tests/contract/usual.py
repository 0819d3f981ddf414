"""For each installed provider: one operation, and a valid submission of each, as the tests of its adapter name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bide.providers import installed
from bide.providers.base import Account, Submission
from tests.contract.test_completeness import contract_class

#: One operation of each installed provider, for answers that are alike for all of its operations.
OPERATIONS = {
    "cyberphotobooth": "generate",
    "dreambooth": "text2img",
    "fal": "run",
    "nextry": "generate_image",
    "photogpt": "images.generation",
    "replicate": "predict",
    "bfl": "flux-2-pro",
    "comfyui": "prompt",
    "openai_videos": "create",
}


def submissions_of(provider: str) -> dict[str, Submission]:
    """By operation, from the class in `tests/contract/test_{provider}.py` that inherits the contract."""
    return contract_class(provider).submissions


def request_of(provider: str, *, prompt: str, **more: Any) -> dict[str, Any]:
    """A request for the first operation of a provider that takes a prompt, else for its first; without pictures."""
    adapter = installed()[provider]
    takes = [name for name in submissions_of(provider) if not adapter.operations[name].required_inputs]
    params = {name: _with_prompt(dict(submissions_of(provider)[name].params), prompt) for name in takes}
    prompted = next((name for name in takes if params[name] != submissions_of(provider)[name].params), takes[0])
    return {"provider": provider, "operation": prompted, "params": params[prompted], **more}


def _with_prompt(params: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    """The params with each of their prompts replaced, at their top or in an object of them."""
    return {
        name: prompt
        if name.lower() == "prompt" and isinstance(value, str)
        else _with_prompt(value, prompt)
        if isinstance(value, dict)
        else value
        for name, value in params.items()
    }


def secrets_of(provider: str, made: str) -> dict[str, str]:
    """A secret for each of the adapter's credentials, by name; `made` stands in each."""
    return {name: f"sk-canary-{provider}-{name}-{made}" for name in installed()[provider].credentials}


def account_with(secrets: Mapping[str, str], base_url: str) -> Account:
    """An account with these secrets."""
    others = {name: secret for name, secret in secrets.items() if name != "api_key"}
    return Account(base_url, secrets.get("api_key", ""), secrets=others)
