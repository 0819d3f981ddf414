"""The manifests of deploy/kubernetes, read for tests."""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.compose import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
BASE, KEDA, OVERLAY = FOLDER / "base", FOLDER / "keda", FOLDER / "overlay"

API = {
    "Deployment": "apps/v1",
    "Service": "v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "ServiceAccount": "v1",
    "ScaledObject": "keda.sh/v1alpha1",
}

SECRETS_FOLDER, BUDGETS_FOLDER = "/run/secrets/bide/", "/etc/bide/"

Manifest = dict[str, Any]


def read(folder: Path) -> list[Manifest]:
    """Every object of the files that a kustomization lists."""
    files = [folder / name for name in kustomization(folder)["resources"] if name.endswith(".yaml")]
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def kustomization(folder: Path) -> Manifest:
    """What a folder's kustomization.yaml says."""
    manifest: Manifest = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return manifest


OBJECTS = [*read(BASE), *read(KEDA)]
PODS: dict[str, Manifest] = {
    one["metadata"]["name"].removeprefix("bide-"): one["spec"]["template"]
    for one in OBJECTS
    if one["kind"] == "Deployment"
}
SECRET: Manifest = yaml.safe_load((BASE / "secrets.example.yaml").read_text())
SETTINGS = dict(re.findall(r"(?m)^(\w+)=(.*)$", (BASE / "settings.env").read_text()))

#: The service accounts, and whether the cluster's own token is put into their pods.
ACCOUNTS = {
    one["metadata"]["name"]: one["automountServiceAccountToken"] for one in OBJECTS if one["kind"] == "ServiceAccount"
}

#: Where a pod gets the keys of its role, and where a machine gets its own: the agent of EKS, and the metadata service.
POD_IDENTITY, MACHINE = IPv4Address("169.254.170.23"), IPv4Address("169.254.169.254")

pods = pytest.mark.parametrize("name", PODS)


def container(name: str) -> Manifest:
    """The one container of a process."""
    [only] = PODS[name]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment(name: str) -> dict[str, str]:
    """All variables of a process."""
    return SETTINGS | {one["name"]: one["value"] for one in container(name).get("env", [])}


def seconds(duration: str) -> int:
    """`90s` or `5m` in seconds."""
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


def selected(selector: Manifest) -> list[str]:
    """The processes that a selector finds."""
    wanted = {key: [value] for key, value in selector.get("matchLabels", {}).items()}
    wanted |= {each["key"]: each["values"] for each in selector.get("matchExpressions", [])}
    wanted = wanted or {key: [value] for key, value in selector.items()}
    return [
        name
        for name, pod in PODS.items()
        if all(pod["metadata"]["labels"].get(key) in values for key, values in wanted.items())
    ]
