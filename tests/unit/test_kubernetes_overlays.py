"""What an overlay over the bases sets, as `kubectl kustomize` builds it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.unit.compose import KUBECTL, kustomized
from tests.unit.kubernetes import (
    BASE,
    FOLDER,
    KEDA,
    OBJECTS,
    SETTINGS,
    kustomization,
)


def test_no_base_names_an_image() -> None:
    """An overlay's name for it would be ignored: kustomize renames what its bases have left as it was."""
    for folder in (BASE, KEDA, FOLDER / "hooks"):
        assert "images" not in kustomization(folder)


needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed: `make test-containers` brings it")


@needs_kubectl
def test_kustomize_builds() -> None:
    """As `kubectl apply -k` would send it: every object, in one namespace, without replicas where KEDA decides."""
    built = kustomized(KEDA)

    assert {one["metadata"]["namespace"] for one in built} == {"bide"}
    assert len(built) == len(OBJECTS) + 2  # the settings, and the budgets
    fixed = {one["metadata"]["name"] for one in built if one["kind"] == "Deployment" and "replicas" in one["spec"]}
    assert fixed == {"bide-beat", "bide-flower", "bide-metrics", "bide-pages"}


@needs_kubectl
@pytest.mark.parametrize("base", ["base", "keda", "hooks"])
def test_an_overlay_sets_what_is_its_own(base: str, tmp_path: Path) -> None:
    """The one that is shipped, over each base: its image, namespace and settings are those of every process."""
    folder = shutil.copytree(FOLDER, tmp_path / "kubernetes") / "overlay"
    text = (folder / "kustomization.yaml").read_text()
    assert "  - ../base #" in text
    own = {"../base #": f"../{base} #", "registry.example.com/bide": "registry.local:5000/team/bide"}
    own |= {'newTag: "0.1.0"': "newTag: v7", "namespace: bide": "namespace: pictures"}
    for old, new in own.items():
        text = text.replace(old, new)
    (folder / "kustomization.yaml").write_text(text)
    (folder / "settings.env").write_text("BIDE_S3__BUCKET=pictures\n")
    built = kustomized(folder)
    pods = [one["spec"]["template"]["spec"]["containers"][0] for one in built if one["kind"] == "Deployment"]
    [settings] = [
        one["data"]
        for one in built
        if one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith("bide-settings")
    ]

    assert {pod["image"] for pod in pods} == {"registry.local:5000/team/bide:v7"}
    assert {one["metadata"]["namespace"] for one in built} == {"pictures"}
    assert settings == {**SETTINGS, "BIDE_S3__BUCKET": "pictures"}


@needs_kubectl
def test_the_commented_role_can_be_taken_as_it_stands(tmp_path: Path) -> None:
    """The overlay's last lines, without their marks: one account has the role's annotation, the other has none."""
    folder = shutil.copytree(FOLDER, tmp_path / "kubernetes") / "overlay"
    head, mark, patches = (folder / "kustomization.yaml").read_text().partition("# patches:\n")
    assert mark
    (folder / "kustomization.yaml").write_text(head + re.sub(r"(?m)^# ", "", mark + patches))
    accounts = {one["metadata"]["name"]: one for one in kustomized(folder) if one["kind"] == "ServiceAccount"}

    [(name, role)] = accounts["bide-store"]["metadata"]["annotations"].items()
    assert name == "eks.amazonaws.com/role-arn"
    assert role.startswith("arn:aws:iam::")
    assert "annotations" not in accounts["bide"]["metadata"]
