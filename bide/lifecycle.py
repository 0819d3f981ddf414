"""The lifecycle rules of the bucket: one for each number of days of retention, one for receipts; others' rules stay.

S3 replaces all rules of a bucket at once. So they are read, bide's own are put among them, and all are written. They
are read back then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bide.errors import StorageError
from bide.receipts import PREFIX
from bide.retention import TAG
from bide.storage import Storage
from bide.storage_errors import as_storage_error, boto_errors, error_code, http_status

#: How the id of each of bide's rules begins.
OWN = "bide-retention-"

#: The id of the rule that removes old receipts.
OF_RECEIPTS = "bide-receipts"

#: The most rules of a bucket, set by S3.
MOST_RULES = 1000

Rule = dict[str, Any]


@dataclass(frozen=True)
class Lifecycle:
    """The rules of a bucket as they are (`found`), and as they are to be (`wanted`, all of them)."""

    found: tuple[Rule, ...]
    wanted: tuple[Rule, ...]
    #: The numbers of days whose rule is missing, or says something else.
    missing: tuple[int, ...]
    different: tuple[int, ...]
    #: Ids of own rules for days that are asked for no more: objects may still have their tags, so that they stay.
    kept: tuple[str, ...]
    #: What is wrong with the rule of receipts; '' for nothing.
    receipts: str = ""

    @property
    def in_place(self) -> bool:
        """Whether each number of days has its rule, and receipts have theirs."""
        return not (self.missing or self.different or self.receipts)


def rule_of(days: int) -> Rule:
    """The rule for one number of days. In a bucket with versions it removes old versions a day later, too."""
    return {
        "ID": f"{OWN}{days}",
        "Status": "Enabled",
        "Filter": {"Tag": {"Key": TAG, "Value": str(days)}},
        "Expiration": {"Days": days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }


def receipts_rule(days: int) -> Rule:
    """The rule that removes receipts of all deployments of the bucket: a receipt of `days` is needed no more."""
    return {
        "ID": OF_RECEIPTS,
        "Status": "Enabled",
        "Filter": {"Prefix": PREFIX},
        "Expiration": {"Days": days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }


def read(storage: Storage, days: Iterable[int], *, receipts_days: int | None = None) -> Lifecycle:
    """The bucket's rules beside those that `days` need; raises `StorageError`.

    `receipts_days`: for how long receipts are needed; None: there are none.
    """
    return _compared(_found(storage)[0], sorted(set(days)), receipts_days)


def apply(storage: Storage, days: Iterable[int], *, receipts_days: int | None = None) -> Lifecycle:
    """Write the rules that are missing or different; returns what the bucket has afterwards.

    Raises `StorageError` where the store refuses them, or has others afterwards than were written.
    """
    wanted_days = sorted(set(days))
    found, settings = _found(storage)
    lifecycle = _compared(found, wanted_days, receipts_days)
    if lifecycle.in_place:
        return lifecycle
    bucket = storage.options.bucket
    if len(lifecycle.wanted) > MOST_RULES:
        raise StorageError(
            f"bucket {bucket}: {len(lifecycle.wanted)} lifecycle rules are over the limit of {MOST_RULES}; "
            "take numbers out of BIDE_RETENTION__CHOICES",
            permanent=True,
        )
    configuration: Any = {"Rules": list(lifecycle.wanted)}
    try:
        with as_storage_error(bucket, ""):
            storage.client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration=configuration, **settings
            )
    except StorageError as error:
        raise StorageError(
            f"the store took no lifecycle rules: {error}; it has none, or keys may not write them (docs/stores.md)",
            permanent=error.permanent,
        ) from None
    after = read(storage, wanted_days, receipts_days=receipts_days)
    expected = _compared(lifecycle.wanted, wanted_days, receipts_days)
    left = (after.missing, after.different, after.receipts) != (expected.missing, expected.different, expected.receipts)
    if left or _others(after.found) != _others(lifecycle.wanted):
        raise StorageError(
            f"bucket {bucket}: the store took the lifecycle rules, and has others now; "
            "it does not know rules by tag, or another program changed them: look at `bide storage lifecycle`",
            permanent=True,
        )
    return after


def takes_tags(storage: Storage, key: str) -> str:
    """Whether the store keeps tags, tried with an object: '' where it does, else what it did instead."""
    bucket = storage.options.bucket
    tags = {TAG: "1"}
    version = ""
    try:
        version = storage.put(key, b"a probe of bide; it may be deleted", content_type="text/plain", tags=tags)
        with as_storage_error(bucket, key):
            found = storage.client.get_object_tagging(Bucket=bucket, Key=key).get("TagSet", [])
    except StorageError as error:
        return str(error)
    finally:
        _remove(storage, key, version)
    kept = {each["Key"]: each["Value"] for each in found}
    return "" if kept == tags else "it takes objects with tags, and keeps none"


def _remove(storage: Storage, key: str, version: str) -> None:
    try:
        storage.remove(key, version)
    except StorageError:
        return


def _found(storage: Storage) -> tuple[list[Rule], dict[str, Any]]:
    """The bucket's rules, and its settings beside them, which a write would else put back to their defaults."""
    bucket = storage.options.bucket
    with as_storage_error(bucket, ""):
        try:
            answer: dict[str, Any] = dict(storage.client.get_bucket_lifecycle_configuration(Bucket=bucket))
        except boto_errors() as error:
            if error_code(error, about_bucket=True) == "NoSuchLifecycleConfiguration" and http_status(error) == 404:
                return [], {}
            raise
    kept = ("TransitionDefaultMinimumObjectSize",)
    return list(answer.get("Rules", ())), {name: answer[name] for name in kept if name in answer}


def _compared(found: Sequence[Rule], days: Sequence[int], receipts_days: int | None) -> Lifecycle:
    own = {rule["ID"]: rule for rule in found if str(rule.get("ID", "")).startswith(OWN)}
    rules = {each: rule_of(each) for each in days}
    ids = {rule["ID"] for rule in rules.values()}
    kept = [rule for name, rule in own.items() if name not in ids]
    of_receipts = [rule for rule in found if rule.get("ID") == OF_RECEIPTS]
    wrong = "" if receipts_days is None else _wrong_with_receipts(found, receipts_days)
    if wrong and receipts_days is not None and not _keeps_receipts(of_receipts or found, receipts_days):
        of_receipts = [receipts_rule(receipts_days)]
    return Lifecycle(
        found=tuple(found),
        wanted=(*_others(found), *kept, *rules.values(), *of_receipts),
        receipts=wrong,
        missing=tuple(each for each, rule in rules.items() if rule["ID"] not in own),
        different=tuple(each for each, rule in rules.items() if rule["ID"] in own and not _same(own[rule["ID"]], rule)),
        kept=tuple(rule["ID"] for rule in kept),
    )


def _wrong_with_receipts(found: Sequence[Rule], days: int) -> str:
    """What is wrong with the rules that remove receipts: none removes all, or one removes some too early for `days`.

    One that does it later is well: another deployment of the bucket may need receipts for longer.
    """
    wrong = []
    if not _keeps_receipts(found, 1):
        wrong.append(f"missing: the rule that removes receipts after {days} days")
    ends = [(end, rule) for rule in _enabled(found) if _reaches_receipts(rule) and (end := _end(rule)) is not None]
    end, rule = min(ends, key=lambda each: each[0], default=(days, {}))
    if end < days:
        rule_id = str(rule.get("ID"))
        when = f"after {end} days" if end else f"on {rule['Expiration']['Date']}, however new they are"
        remedy = "" if rule_id == OF_RECEIPTS else "; it is none of bide's: change it by hand"
        wrong.append(f"different: {rule_id} removes receipts {when}, and they are needed for {days}{remedy}")
    return "; ".join(wrong)


def _keeps_receipts(rules: Sequence[Rule], days: int) -> bool:
    """Whether one of these rules removes all receipts, and not before `days`."""
    return any(_of_receipts(rule) and (_end(rule) or 0) >= days for rule in _enabled(rules))


def _enabled(rules: Iterable[Rule]) -> Iterator[Rule]:
    return (rule for rule in map(_with_filter, rules) if rule.get("Status") == "Enabled")


def _end(rule: Rule) -> int | None:
    """After how many days a rule removes objects; 0 for one that does it on a date, None for one that never does."""
    expiration = rule.get("Expiration", {})
    return 0 if "Date" in expiration else expiration.get("Days")


def _reaches_receipts(rule: Rule) -> bool:
    """Whether a rule can be of a receipt, which may have any size and has no tag."""
    conditions = rule.get("Filter") or {}
    conditions = {**conditions, **conditions.get("And", {})}
    prefix = conditions.get("Prefix") or ""
    tagged = "Tag" in conditions or conditions.get("Tags")
    return not tagged and (PREFIX.startswith(prefix) or prefix.startswith(PREFIX))


def _of_receipts(rule: Rule) -> bool:
    """Whether a rule is of all receipts, and by nothing but their prefix."""
    conditions = rule.get("Filter", {})
    return set(conditions) == {"Prefix"} and conditions["Prefix"] in (PREFIX, PREFIX.rstrip("/"))


def _others(rules: Iterable[Rule]) -> list[Rule]:
    """Rules that are not bide's. A prefix in the old form stands in a filter, as S3 wants it beside rules by tag."""
    return [_with_filter(dict(rule)) for rule in rules if not _is_own(str(rule.get("ID", "")))]


def _is_own(rule_id: str) -> bool:
    return rule_id.startswith(OWN) or rule_id == OF_RECEIPTS


def _with_filter(rule: Rule) -> Rule:
    if "Prefix" not in rule or "Filter" in rule:
        return rule
    return {**{name: value for name, value in rule.items() if name != "Prefix"}, "Filter": {"Prefix": rule["Prefix"]}}


def _same(found: Rule, wanted: Rule) -> bool:
    """Whether a rule does what is wanted; stores add fields of their own, and write a filter of one tag in two ways."""
    tags = found.get("Filter", {})
    tag = tags.get("Tag") or next(iter(tags.get("And", {}).get("Tags", ())), None)
    return (
        tag == wanted["Filter"]["Tag"]
        and found.get("Status") == "Enabled"
        and found.get("Expiration", {}).get("Days") == wanted["Expiration"]["Days"]
        and not tags.get("Prefix")
    )
