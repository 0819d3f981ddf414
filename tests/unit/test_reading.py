"""The tolerant readers: every shape an answer was seen in, and the bounds that keep a hostile one harmless."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.contract import FailureCode
from bide.errors import SubmissionUnknownError, UnreadableAnswerError
from bide.providers import reading
from bide.providers.base import Answer, Media
from bide.providers.refusal import is_bad_key, is_not_found, is_rate_limit, refusal_by_words

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(value=JSON)
def test_any_value_is_a_short_printable_text(value: Any) -> None:
    """Error texts end in logs and records: one line, bounded, and always to be written as UTF-8."""
    text = reading.as_text(value)
    assert len(text.encode()) <= 4 * reading.TEXT_MAX_CHARACTERS
    assert "\n" not in text


def test_a_deep_text_costs_no_more_than_a_flat_one() -> None:
    """Nesting is followed some levels down and no further."""
    deep = json.loads('{"a":' * 400 + '"x"' + "}" * 400)
    assert reading.as_text(deep) == ""
    assert reading.as_text({"a": {"b": ["x", None, {"c": "y"}]}}) == "a: b: x; c: y"


@given(content=st.binary(min_size=1, max_size=60), data=st.data())
def test_base64_in_every_dress_is_the_same_bytes(content: bytes, data: st.DataObject) -> None:
    """A prefix, line breaks and lost padding change nothing."""
    plain = base64.b64encode(content).decode()
    cut = data.draw(st.integers(0, len(plain)))
    for dressed in (plain, plain.rstrip("="), "data:image/png;base64," + plain, f" {plain[:cut]}\r\n {plain[cut:]}"):
        assert reading.as_base64(dressed) == content


@pytest.mark.parametrize("text", ["A", "????", "abc_-", "data:image/png,abcd", "ftp://x/y", "é"])
def test_what_is_not_base64_is_not_guessed(text: str) -> None:
    """Strict after normalising: a wrong letter is not skipped."""
    with pytest.raises(UnreadableAnswerError):
        reading.as_base64(text)


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        (None, []),
        ("", []),
        ({}, []),
        ("a", ["a"]),
        (["a", None], ["a", None]),
        ({"1": "b", "0": "a", "10": "c"}, ["a", "b", "c"]),
        ({"url": "a"}, [{"url": "a"}]),
    ],
)
def test_lists_in_every_shape(value: Any, entries: list[Any]) -> None:
    """One string, one record, nothing, or an object keyed by number, in the order of the numbers."""
    assert reading.listed(value) == entries


@pytest.mark.parametrize("value", [7, True, {"a": 1}, {"٣x": 1}])
def test_what_is_no_list_is_reported(value: Any) -> None:
    """Nothing is dropped in silence: it may be a paid result."""
    with pytest.raises(UnreadableAnswerError, match="where a list was expected"):
        reading.listed(value)


@pytest.mark.parametrize(
    ("value", "text"), [(7, "7"), ("a-1", "a-1"), (" a ", "a"), (0, "0"), (10**30, "1" + "0" * 30)]
)
def test_ids_are_opaque_texts(value: Any, text: str) -> None:
    """Numbers and strings alike."""
    assert reading.as_id(value) == text


@pytest.mark.parametrize("value", [None, "", " ", True, 1.5, [], {}, ".", "..", "a\nb", "\ud800", "x" * 513])
def test_what_could_not_be_asked_for_again_is_no_id(value: Any) -> None:
    """An id must survive a URL's path and the ledger."""
    assert reading.as_id(value) == ""


@given(value=st.text(max_size=40).map("http://".__add__) | st.text(max_size=20))
def test_an_address_is_whole_or_refused(value: str) -> None:
    """Printable, with a host; what is refused is not repeated."""
    try:
        url = reading.as_url(value)
    except UnreadableAnswerError:
        with pytest.raises(UnreadableAnswerError, match=r"^a result that is not an http.s. address$"):
            reading.as_url(value)
    else:
        assert url.isprintable()
        assert reading.as_media(value, role="image") == Media("image", url=url)


@pytest.mark.parametrize(
    ("text", "rate", "key", "gone"),
    [
        ("Rate limit exceeded", True, False, False),
        ("too many requests, slow down", True, False, False),
        ("The queue is full", True, False, False),
        ("Server overloaded", True, False, False),
        ("Monthly limit exceeded", False, False, False),
        ("Too many requests this month", False, False, False),
        ("insufficient credits", False, False, False),
        ("Invalid API Key", False, True, False),
        ("Your API key is expired", False, True, False),
        ("Unauthorized", False, True, False),
        ("missing field 'prompt'", False, False, False),
        ("too many words in the prompt", False, False, False),
        ("Job not found", False, False, True),
        ("Request doesn't exist", False, False, True),
        ("", False, False, False),
    ],
)
def test_words_are_sorted(text: str, rate: bool, key: bool, gone: bool) -> None:
    """Only what surely means one of the three is taken for it."""
    assert (is_rate_limit(text), is_bad_key(text), is_not_found(text)) == (rate, key, gone)


def test_a_refusal_needs_a_reason() -> None:
    """An error without words does not rule out that the job was accepted."""
    assert refusal_by_words("no such model").code is FailureCode.REJECTED
    with pytest.raises(SubmissionUnknownError):
        refusal_by_words("")


def test_an_error_body_that_is_not_json_is_described_not_quoted() -> None:
    """A page of HTML in a message helps nobody."""
    page = Answer(502, {"content-type": "text/html"}, b"<html>secret</html>")
    assert reading.error_text(page, ("message",)) == "text/html body of 19 bytes"
    assert reading.error_text(Answer(400, {}, b"[1]"), ("message",)) == ""
