"""The addresses that providers are given: one for each job, beyond guessing, and starred out where they are quoted."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from bide.webhooks.incoming import Hooks


def test_addresses_are_of_one_job_and_one_deployment() -> None:
    """A job has one address; another job, account, provider or secret has another."""
    names = [("u", "s", "p", "a"), ("u", "s", "p", "b"), ("u", "s", "q", "a"), ("u", "t", "p", "a")]
    proofs = {Hooks(*name).address(job_id).rpartition("/")[2] for name in names for job_id in ("one", "two")}

    assert len(proofs) == 8
    assert {len(proof) for proof in proofs} == {24}
    assert Hooks(*names[0]).address("one") == Hooks(*names[0]).address("one")
    assert "secret" not in repr(Hooks("u", "secret", "p", "a"))


def test_a_message_loses_the_addresses_in_it() -> None:
    """Providers quote what they were sent; other addresses stay."""
    hooks = Hooks("https://hooks.example/bide", "a secret of the test", "dreambooth", "default")
    text = f"The webhook {hooks.address('job:1')} can't be reached, see https://hooks.example/help"
    assert hooks.hidden(text) == "The webhook *** can't be reached, see https://hooks.example/help"


@pytest.mark.parametrize(
    "quoted",
    [
        "{address}",
        "HTTP://Hooks.Example{path}",
        "//hooks.example{path}",
        "hooks.example{path}",
        "{path}",
        "dreambooth/default/job:1/{proof}",
        "{json}",
        "{percent}",
        "https:\\\\/\\\\/hooks.example\\\\/bide\\\\/dreambooth\\\\/default\\\\/job:1\\\\/{proof}",
        "https:&#x2F;&#x2F;hooks.example&#x2F;dreambooth&#47;default&#x2F;job:1&#x2F;{proof}",
    ],
)
def test_an_address_is_starred_out_however_it_is_written(quoted: str) -> None:
    """Without its scheme or host, in other letters, with slashes as JSON, HTML or another address has them."""
    hooks = Hooks("https://hooks.example/bide", "a secret of the test", "dreambooth", "default")
    address = hooks.address("job:1")
    written = {"address": address, "path": address.removeprefix("https://hooks.example"), "proof": address[-24:]}
    quotation = quoted.format(**written, json=address.replace("/", "\\/"), percent=quote(address, safe=""))

    shown = hooks.hidden(f"can't call {quotation} now")

    assert shown == "can't call *** now"


@pytest.mark.parametrize("text", ["dreambooth has no default", "see https://dreambooth.example/default/help", "a/b/c"])
def test_other_words_stay(text: str) -> None:
    """The names alone are no address."""
    assert Hooks("https://hooks.example/bide", "s", "dreambooth", "default").hidden(text) == text
