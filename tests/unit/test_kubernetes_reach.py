"""What pods of Kubernetes reach: the store by a role, and Flower by doctor."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.session import Session

from tests.unit.kubernetes import (
    ACCOUNTS,
    MACHINE,
    OBJECTS,
    POD_IDENTITY,
    PODS,
    SETTINGS,
    container,
    environment,
    pods,
    selected,
)


def reaches(name: str, address: IPv4Address, port: int) -> bool:
    """Whether the network policies let a process go to an address outside of the cluster's pods."""
    return any(
        address in ip_network(to["ipBlock"]["cidr"])
        and not any(address in ip_network(closed) for closed in to["ipBlock"].get("except", ()))
        for one in OBJECTS
        if one["kind"] == "NetworkPolicy" and name in selected(one["spec"]["podSelector"])
        for rule in one["spec"].get("egress", ())
        if any(each["port"] == port for each in rule["ports"])
        for to in rule.get("to", ())
        if "ipBlock" in to
    )


@pods
def test_a_role_is_for_those_that_use_the_store(name: str) -> None:
    """They have an account of their own and reach the agent that gives it keys; nobody reaches the machine's."""
    stores = "AWS_SHARED_CREDENTIALS_FILE" in environment(name)

    assert PODS[name]["spec"]["serviceAccountName"] == ("bide-store" if stores else "bide")
    assert reaches(name, POD_IDENTITY, 80) == stores
    assert not reaches(name, MACHINE, 80)
    assert reaches(name, IPv4Address("203.0.113.9"), 443) == (stores or name == "poller")
    assert not any(ACCOUNTS.values())


def test_an_empty_file_of_keys_leaves_them_to_the_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What accounts.yaml asks for: boto3 passes over the file and goes on to the pod's identity."""
    (tmp_path / "aws_credentials").write_text("\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws_credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{POD_IDENTITY}/v1/credentials")
    asked: list[str] = []

    def answer(_self: Any, url: str, **_options: Any) -> dict[str, str]:
        asked.append(url)
        return {
            "AccessKeyId": "of-the-role",
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": "2099-01-01T00:00:00Z",
        }

    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.retrieve_full_uri", answer)
    found = Session().get_credentials()

    assert found is not None
    assert found.access_key == "of-the-role"
    assert asked == [f"http://{POD_IDENTITY}/v1/credentials"]


def test_the_doctor_finds_flower() -> None:
    """The address in the settings is the service's, and the policies let worker and Flower speak."""
    found = urlsplit(SETTINGS["BIDE_FLOWER__URL"])
    [port] = container("flower")["ports"]
    policies = {one["metadata"]["name"]: one["spec"] for one in OBJECTS if one["kind"] == "NetworkPolicy"}
    out = [
        (process, each["port"])
        for rule in policies["bide-default"]["egress"]
        for to in rule.get("to", ())
        for process in selected(to["podSelector"])
        for each in rule["ports"]
    ]
    into = [
        process
        for rule in policies["bide-flower"]["ingress"]
        for source in rule["from"]
        if "podSelector" in source
        for process in selected(source["podSelector"])
    ]

    assert (found.hostname, found.port) == ("bide-flower", port["containerPort"])
    assert out == [("flower", port["containerPort"])]
    assert into == ["worker"]
