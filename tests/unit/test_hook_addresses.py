"""The addresses that providers are given: one for each job, beyond guessing, and starred out where they are quoted."""

from __future__ import annotations

from bide.hooks import Hooks


def test_addresses_are_of_one_job_and_one_deployment() -> None:
    """The same job has the same address each time; another job, account, provider or secret has another."""
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
