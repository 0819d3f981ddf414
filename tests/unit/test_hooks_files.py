"""What deploys the endpoint for providers' calls: it agrees with Compose, the settings, and the base's manifests."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from config.settings import load
from tests.unit.compose import KUBECTL, PROCFILE, ROOT, SERVICES, kustomized

FOLDER = ROOT / "deploy" / "kubernetes"
PAGE = (ROOT / "docs" / "webhooks.md").read_text()

KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "hooks" / "kustomization.yaml").read_text())
OBJECTS: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in yaml.safe_load_all((FOLDER / "hooks" / "hooks.yaml").read_text())
}
METRICS: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in yaml.safe_load_all((FOLDER / "base" / "metrics.yaml").read_text())
}
SERVICE = SERVICES["hooks"]


def test_it_runs_only_where_it_is_asked_for() -> None:
    """Not in the Procfile, behind a profile in Compose, in Kubernetes an overlay of the base, as the image it is."""
    base = yaml.safe_load((FOLDER / "base" / "kustomization.yaml").read_text())
    assert "hooks" not in PROCFILE
    assert SERVICE["profiles"] == ["hooks"]
    assert KUSTOMIZATION["resources"] == ["../base", "hooks.yaml"]
    assert KUSTOMIZATION["namespace"] == base["namespace"]
    assert not [name for name in base["resources"] if "hooks" in name]


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed: `make test-containers` brings it")
def test_kustomize_builds() -> None:
    """As `kubectl apply -k` would send it: the endpoint reads the settings of all the others."""
    built = kustomized(FOLDER / "hooks")
    pods = [one["spec"]["template"]["spec"]["containers"][0] for one in built if one["kind"] == "Deployment"]

    assert {one["metadata"]["namespace"] for one in built} == {"bide"}
    assert {"hooks", "worker"} <= {pod["name"] for pod in pods}
    assert len({(pod["image"], pod["envFrom"][0]["configMapRef"]["name"]) for pod in pods}) == 1


def test_the_pod_is_as_the_exporters() -> None:
    """Same image, rights, limits and mounts as another process with a port; its own command, port and probes."""
    ours, theirs = (dict(found["Deployment"]["spec"]["template"]["spec"]) for found in (OBJECTS, METRICS))
    [own], [other] = ours.pop("containers"), theirs.pop("containers")
    probes = {"startupProbe", "readinessProbe", "livenessProbe"}
    different = {name for name in own if own[name] != other.get(name)}

    assert secrets_of(ours) == {"redis_url", "hooks_secret"}
    assert secrets_of(theirs) == {"redis_url"}
    assert ours | {"volumes": theirs["volumes"]} == theirs
    assert own.keys() == other.keys()
    assert different == {"name", "command", "env", "envFrom", "ports"} | probes
    assert own["command"] == SERVICE["command"]
    assert all(own[probe]["exec"]["command"] == SERVICE["healthcheck"]["test"][1:] for probe in probes)


def secrets_of(pod: dict[str, Any]) -> set[str]:
    """The secrets that a pod mounts."""
    [volume] = [each for each in pod["volumes"] if each["name"] == "secrets"]
    return {each["key"] for each in volume["secret"]["items"]}


def test_processes_that_need_the_secret_have_it() -> None:
    """Worker and poller read the endpoint's settings and mount its secret, as the endpoint does; nobody else."""
    [patch] = KUSTOMIZATION["patches"]
    [settings] = KUSTOMIZATION["configMapGenerator"]
    reads, mounts = yaml.safe_load(patch["patch"])
    [container] = OBJECTS["Deployment"]["spec"]["template"]["spec"]["containers"]

    assert patch["target"] == {"kind": "Deployment", "name": "bide-(worker|poller)"}
    assert reads["value"] == {"configMapRef": {"name": settings["name"]}} == container["envFrom"][1]
    assert mounts["value"] == {"key": "hooks_secret", "path": "hooks_secret"}
    given = dict(re.findall(r"(?m)^(\w+)=(.*)$", (FOLDER / "hooks" / settings["envs"][0]).read_text()))
    assert given["BIDE_HOOKS__SECRET_FILE"] == f"/run/secrets/bide/{mounts['value']['path']}"
    assert given.keys() == {"BIDE_HOOKS__URL", "BIDE_HOOKS__SECRET_FILE"}


def test_ports_agree() -> None:
    """The default port everywhere, on all addresses inside a container, and on this machine alone outside."""
    hooks = load({"BIDE_S3__BUCKET": "results"}, env_file=None).hooks
    [container] = OBJECTS["Deployment"]["spec"]["template"]["spec"]["containers"]
    [port], [service] = container["ports"], OBJECTS["Service"]["spec"]["ports"]

    assert (hooks.address, hooks.port) == ("127.0.0.1", port["containerPort"])
    assert (service["port"], service["targetPort"]) == (hooks.port, port["name"])
    assert {one["name"]: one["value"] for one in container["env"]} == {"BIDE_HOOKS__ADDRESS": "0.0.0.0"}
    assert SERVICE["ports"] == [f"127.0.0.1:${{BIDE_HOOKS__PORT:-{hooks.port}}}:{hooks.port}"]
    assert f"127.0.0.1:{hooks.port}" in PAGE


def test_selectors_are_its_own() -> None:
    """Deployment, service and network policy choose the pods of the template."""
    labels = OBJECTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    chosen = [
        OBJECTS["Deployment"]["spec"]["selector"]["matchLabels"],
        OBJECTS["Service"]["spec"]["selector"],
        OBJECTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(one.items() <= labels.items() and one["app.kubernetes.io/component"] == "hooks" for one in chosen)
    assert {one["metadata"]["name"] for one in OBJECTS.values()} == {"bide-hooks"}


def test_what_the_manifests_ask_for_is_a_setting() -> None:
    """The two lines that the overlay wants in settings.env."""
    text = (FOLDER / "hooks" / "kustomization.yaml").read_text()
    given = dict(re.findall(r"(BIDE_HOOKS__\w+)=(\S+)", text))
    assert given.keys() == {"BIDE_HOOKS__URL", "BIDE_HOOKS__SECRET_FILE"}
    settings = load(
        {"BIDE_S3__BUCKET": "results", "BIDE_HOOKS__URL": given["BIDE_HOOKS__URL"], "BIDE_HOOKS__SECRET": "x" * 24},
        env_file=None,
    )
    assert settings.hooks.url == given["BIDE_HOOKS__URL"]
