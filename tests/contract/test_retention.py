"""Retention at a real server: tags on objects of each size by each library, and the rules of a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from bide import lifecycle
from bide.cli.main import main
from bide.errors import StorageError
from bide.retention import tags_of
from bide.settings.retention import RetentionSettings
from bide.storage import Storage
from bide.storage_options import Puts
from bide.storage_tags import put_tagged
from config.settings import load
from tests.contract.odd_stores import Server
from tests.contract.stores import BUCKET, bucket_at, moto, nanio, set_keys
from tests.web_server import Request
from workers.doctor.findings import Level
from workers.doctor.receipts import check_receipts_rule
from workers.doctor.stores import check_retention

STORED = (200, {"ETag": '"1"'}, b"")

#: A rule of another program: S3 gives back a prefix in the old form as it was written.
OTHER = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
OLD_FORM = {"ID": "old", "Status": "Enabled", "Prefix": "old/", "Expiration": {"Days": 9}}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch)


@pytest.fixture(scope="module", name="url")
def _url() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture(name="bucket")
def _bucket(url: str) -> Iterator[Storage]:
    """A bucket without rules."""
    storage = bucket_at(url)
    yield storage
    for entry in storage.client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        storage.client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    storage.client.delete_bucket(Bucket=BUCKET)


def rules_of(storage: Storage) -> list[dict[str, object]]:
    """The bucket's rules as the server has them."""
    found = storage.client.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    return [dict(rule) for rule in found]


@pytest.mark.parametrize("puts", ["boto3", "obstore"])
def test_a_tag_goes_signed_with_the_object(puts: Puts) -> None:
    """One header more, which the signature covers."""
    with Server(lambda _: STORED) as server:
        server.storage(puts=puts).put("k", b"x", content_type="image/png", tags=tags_of(30))
    [put] = server.seen
    assert put.headers["x-amz-tagging"] == "bide-retention-days=30"
    signed = put.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert "x-amz-tagging" in signed.split(";")


@pytest.mark.parametrize("puts", ["boto3", "obstore"])
def test_without_retention_no_header_goes(puts: Puts) -> None:
    """Nothing changes for those who ask for none."""
    with Server(lambda _: STORED) as server:
        storage = server.storage(puts=puts)
        assert put_tagged(storage, "k", b"x", days=None, content_type="image/png")
    [put] = server.seen
    assert "x-amz-tagging" not in put.headers


def test_the_store_has_the_tag(bucket: Storage) -> None:
    """Of an object in one piece, and of an upload in parts."""
    for in_parts in (False, True):
        bucket.put("k", b"x", content_type="image/png", tags=tags_of(7), in_parts=in_parts)
        found = bucket.client.get_object_tagging(Bucket=BUCKET, Key="k")["TagSet"]
        assert found == [{"Key": "bide-retention-days", "Value": "7"}]


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (403, "AccessDenied")])
def test_a_paid_object_is_stored_where_the_store_refuses_tags(status: int, code: str) -> None:
    """It goes up without the tag, and the caller of the function knows."""

    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        refused = f"<Error><Code>{code}</Code></Error>".encode()
        return (status, {}, refused) if "x-amz-tagging" in request.headers else STORED

    with Server(answer) as server:
        assert not put_tagged(server.storage(), "k", b"x", days=7, content_type="image/png")
    assert ["x-amz-tagging" in put.headers for put in server.seen] == [True, False]


def test_an_outage_is_no_refusal_of_tags() -> None:
    """The step is tried again later, with the tag."""
    with Server(lambda _: (503, {}, b"<Error><Code>SlowDown</Code></Error>")) as server, pytest.raises(StorageError):
        put_tagged(server.storage(), "k", b"x", days=7, content_type="image/png")
    assert all("x-amz-tagging" in put.headers for put in server.seen)


def test_a_store_without_rules_is_named_as_one() -> None:
    """One of the small ones takes the call for one that makes the bucket."""

    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.method == "GET":
            return 404, {}, b"<Error><Code>NoSuchLifecycleConfiguration</Code></Error>"
        return 409, {}, b"<Error><Code>BucketAlreadyOwnedByYou</Code></Error>"

    with Server(answer) as server, pytest.raises(StorageError) as refused:
        lifecycle.apply(server.storage(), [7])
    assert str(refused.value).startswith("the store took no lifecycle rules: bucket ")
    assert "docs/stores.md" in str(refused.value)


def test_rules_are_written_beside_those_of_others(bucket: Storage) -> None:
    """They are read, merged, written and read back; the second time nothing is to do."""
    bucket.client.put_bucket_lifecycle_configuration(
        Bucket=BUCKET,
        LifecycleConfiguration={"Rules": [OTHER, OLD_FORM, {**lifecycle.rule_of(30), "Expiration": {"Days": 99}}]},  # type: ignore[list-item]  # plain mappings
    )
    before = lifecycle.read(bucket, [7, 30])
    assert (before.missing, before.different, before.in_place) == ((7,), (30,), False)
    after = lifecycle.apply(bucket, [30, 7])
    assert after.in_place
    found = {str(rule["ID"]): rule for rule in rules_of(bucket)}
    assert set(found) == {"logs", "old", "bide-retention-7", "bide-retention-30"}
    assert found["logs"] == OTHER
    assert found["old"]["Filter"] == {"Prefix": "old/"}
    assert found["bide-retention-30"]["Expiration"] == {"Days": 30}
    assert found["bide-retention-7"]["Filter"] == {"Tag": {"Key": "bide-retention-days", "Value": "7"}}


def test_a_rule_that_is_asked_for_no_more_stays(bucket: Storage) -> None:
    """Objects may still have its tag: without the rule they would stay for ever."""
    lifecycle.apply(bucket, [5, 7])
    assert lifecycle.apply(bucket, [7, 14]).kept == ("bide-retention-5",)
    assert {rule["ID"] for rule in rules_of(bucket)} == {f"bide-retention-{days}" for days in (5, 7, 14)}


def lifecycle_command(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """The exit code of `bide storage lifecycle`, and what it prints."""
    result = CliRunner().invoke(main, ["storage", "lifecycle", *arguments], env=environment)
    return result.exit_code, result.output


def test_the_command_shows_what_differs_and_applies_it(
    bucket: Storage, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit code 1 while a rule is missing."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "BIDE_S3__BUCKET": BUCKET,
        "BIDE_S3__ENDPOINT_URL": url,
        "BIDE_S3__REGION": "us-east-1",
        "BIDE_RETENTION__CHOICES": "7,30",
        "BIDE_RETENTION__OPERATIONS": '{"photogpt/models.train": 21}',
    }

    run = partial(lifecycle_command, environment)
    code, shown = run()
    assert code == 1
    assert "missing: the rule for retention_days 21" in shown
    assert '"bide-retention-21"' in shown
    assert run("--apply")[0] == 0
    assert {rule["ID"] for rule in rules_of(bucket)} == {f"bide-retention-{days}" for days in (7, 21, 30)}
    code, shown = run("--json")
    assert code == 0
    assert '"in_place": true' in shown
    environment["BIDE_RETENTION__CHOICES"] = "7,soon"
    code, shown = run()
    assert code == 1
    assert "BIDE_RETENTION__CHOICES" in shown


def test_receipts_have_a_rule_where_they_are_on(
    bucket: Storage, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They go once no recovery looks back to them. A later end is well: another deployment may need it."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "BIDE_S3__BUCKET": BUCKET,
        "BIDE_S3__ENDPOINT_URL": url,
        "BIDE_S3__REGION": "us-east-1",
        "BIDE_RETENTION__CHOICES": "7",
        "BIDE_LEDGER__RECEIPTS": "s3",
        "BIDE_TIMING__RETENTION_DAYS": "10",
    }

    run = partial(lifecycle_command, environment)

    def of_receipts() -> dict[str, object]:
        [found] = [rule for rule in rules_of(bucket) if rule["ID"] == "bide-receipts"]
        return found

    lifecycle.apply(bucket, [7])
    assert "missing: the rule that removes receipts after 24 days" in run()[1]
    assert run("--apply")[0] == 0
    assert (of_receipts()["Filter"], of_receipts()["Expiration"]) == ({"Prefix": "bide-receipts/"}, {"Days": 24})
    environment["BIDE_TIMING__RETENTION_DAYS"] = "30"
    code, shown = run()
    assert (code, "different: bide-receipts removes receipts after 24 days" in shown) == (1, True)
    assert run("--apply")[0] == 0
    environment["BIDE_TIMING__RETENTION_DAYS"] = "10"
    assert run()[0] == 0
    environment["BIDE_LEDGER__RECEIPTS"] = "off"
    assert run("--apply")[0] == 0
    assert of_receipts()["Expiration"] == {"Days": 44}
    lifecycle.apply(bucket, [7, 8])
    assert of_receipts()["Expiration"] == {"Days": 44}


def test_doctor_warns_of_missing_receipt_rules(bucket: Storage) -> None:
    """And says nothing where no receipts are written."""
    of = {"BIDE_BROKER_URL": "redis://h", "BIDE_S3__BUCKET": BUCKET, "BIDE_LEDGER__RECEIPTS": "s3"}
    on, off = load(of, env_file=None), load({**of, "BIDE_LEDGER__RECEIPTS": "off"}, env_file=None)
    assert list(check_receipts_rule(off, bucket)) == []
    [found] = check_receipts_rule(on, bucket)
    assert (found.level, "--apply" in found.remedy) == (Level.WARNING, True)
    lifecycle.apply(bucket, [], receipts_days=21)
    assert [each.level for each in check_receipts_rule(on, bucket)] == [Level.OK]


def test_doctor_warns_of_missing_rules(bucket: Storage) -> None:
    """And of nothing where no retention is set."""
    assert list(check_retention(bucket, RetentionSettings())) == []
    asked = RetentionSettings.model_validate({"days": 30, "choices": "7"})
    [found] = check_retention(bucket, asked)
    assert found.level is Level.WARNING
    assert "7, 30" in found.says
    assert "--apply" in found.remedy
    lifecycle.apply(bucket, asked.resolved.all_days)
    assert [each.level for each in check_retention(bucket, asked)] == [Level.OK]


@pytest.mark.whole
def test_a_store_that_keeps_no_tags_is_known(tmp_path: Path) -> None:
    """Nanio takes them, and forgets them; its bucket has no rules."""
    with nanio(tmp_path) as url:
        storage = bucket_at(url)
        [found] = check_retention(storage, RetentionSettings.model_validate({"days": 30}))
        assert found.level is Level.WARNING
        assert "keeps no tags" in found.says
        with pytest.raises(StorageError):
            lifecycle.apply(storage, [30])
