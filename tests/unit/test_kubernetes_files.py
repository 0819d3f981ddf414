"""deploy/kubernetes: manifests agree with Procfile, settings, metrics, docker-compose.yml and each other."""

from __future__ import annotations

import base64
import re
import shlex

import yaml

from bide.ledger.census import ANSWERING
from config.settings import load
from tests.unit.compose import PROCFILE, ROOT, SERVICES
from tests.unit.kubernetes import (
    ACCOUNTS,
    API,
    BASE,
    BUDGETS_FOLDER,
    KEDA,
    OBJECTS,
    OVERLAY,
    PODS,
    SECRET,
    SECRETS_FOLDER,
    container,
    environment,
    kustomization,
    pods,
    seconds,
    selected,
)
from workers.metrics.families import families


def test_every_file_is_applied_or_an_example() -> None:
    """Nothing lies about that no kustomization names; secrets are never applied from the repository."""
    for folder in (BASE, KEDA):
        files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml", "secrets.example.yaml"}
        assert {name for name in kustomization(folder)["resources"] if not name.startswith("..")} == files
    assert kustomization(KEDA)["resources"][0] == "../base"
    assert kustomization(BASE)["configMapGenerator"] == [
        {"name": "bide-settings", "envs": ["settings.env"]},
        {"name": "bide-budgets", "files": ["budgets.toml"], "options": {"disableNameSuffixHash": True}},
    ]


def test_objects_are_what_they_say() -> None:
    """Known kinds with their versions, and no two of one kind and name."""
    names = [(one["kind"], one["metadata"]["name"]) for one in OBJECTS]

    assert {one["kind"]: one["apiVersion"] for one in OBJECTS} == API
    assert len(names) == len(set(names))
    assert PODS.keys() == PROCFILE.keys()


def test_selectors_find_pods() -> None:
    """What chooses by labels chooses something, and a deployment, service or budget its own pods alone."""
    for one in OBJECTS:
        if one["kind"] == "ServiceAccount":
            continue
        spec = one["spec"]
        if one["kind"] == "ScaledObject":
            assert f"bide-{spec['scaleTargetRef']['name'].removeprefix('bide-')}" == one["metadata"]["name"]
            assert spec["scaleTargetRef"]["name"].removeprefix("bide-") in PODS
            continue
        chosen = selected(spec["podSelector"] if one["kind"] == "NetworkPolicy" else spec["selector"])
        if one["kind"] == "NetworkPolicy":
            assert chosen
        else:
            assert [f"bide-{name}" for name in chosen] == [one["metadata"]["name"]]


@pods
def test_command_is_the_procfiles(name: str) -> None:
    """A pod runs the Procfile's command; its node's name needs no process id, since each pod has its host name."""
    procfile = PROCFILE[name].replace("-$$@", "@").replace("${BIDE_POLLER__CONCURRENCY:-4}", "4")

    assert container(name)["command"] == shlex.split(procfile)


@pods
def test_settings_are_complete(name: str) -> None:
    """The process would start: every variable is known, and every file that one names is in the example's secret."""
    files = {key: value for key, value in environment(name).items() if value.startswith("/run/")}
    made = {key: value.removeprefix(SECRETS_FOLDER) for key, value in files.items()}
    assert set(made.values()) <= set(SECRET["stringData"])

    plain = {key: value for key, value in environment(name).items() if key not in files}
    if budgets := plain.get("BIDE_BUDGETS", ""):
        plain["BIDE_BUDGETS"] = budgets.replace(BUDGETS_FOLDER, f"{OVERLAY}/")
    strong = {"callback_secret": base64.b64encode(bytes(32)).decode(), "redis_url": SECRET["stringData"]["redis_url"]}
    given = {key.removesuffix("_FILE"): strong.get(file, "hush") for key, file in made.items()}
    settings = load(plain | given, env_file=None)

    assert settings.ledger_url.startswith("rediss://")
    if name in ("flower", "metrics"):
        [port] = container(name)["ports"]
        server = settings.flower if name == "flower" else settings.metrics
        assert (server.address, server.port) == ("0.0.0.0", port["containerPort"])


#: Who is given which secrets, and no other.
HOLDERS = {
    "worker": {"redis_url", "aws_credentials", "callback_secret", "photogpt_api_key"},
    "poller": {"redis_url", "photogpt_api_key"},
    "beat": {"redis_url"},
    "flower": {"redis_url", "flower_password"},
    "metrics": {"redis_url"},
    "pages": {"redis_url", "flower_password", "aws_credentials", "photogpt_api_key"},
}


@pods
def test_each_has_the_secrets_that_it_needs(name: str) -> None:
    """The files that it mounts, and that its variables name."""
    [volume] = [each for each in PODS[name]["spec"]["volumes"] if each["name"] == "secrets"]
    mounted = volume["secret"]["items"]

    assert {each["key"] for each in mounted} == HOLDERS[name]
    assert all(each["key"] == each["path"] for each in mounted)
    named = {value for value in environment(name).values() if value.startswith(SECRETS_FOLDER)}
    assert {value.removeprefix(SECRETS_FOLDER) for value in named} == HOLDERS[name]


def test_no_secret_stands_in_the_files() -> None:
    """Passwords are files, and the example has none that would work."""
    secret = re.compile(r"PASSWORD|SECRET|KEY|BROKER_URL")
    values = {key: value for name in PODS for key, value in environment(name).items() if secret.search(key)}

    assert len(values) >= 4
    assert all(key.endswith("_FILE") and value.startswith(SECRETS_FOLDER) for key, value in values.items())
    assert all("REPLACE_ME" in value for value in SECRET["stringData"].values())


@pods
def test_pod_has_least_rights(name: str) -> None:
    """It is no root, writes to /tmp alone, has no rights in the cluster and none to gain."""
    pod, own = PODS[name]["spec"], container(name)["securityContext"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod['securityContext']['runAsUser']}:" in (ROOT / "Dockerfile").read_text()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
    assert own["capabilities"] == {"drop": ["ALL"]}


@pods
def test_services_do_not_become_settings(name: str) -> None:
    """Kubernetes would tell of the service `bide-flower` by BIDE_FLOWER_PORT, which the settings refuse."""
    assert PODS[name]["spec"]["enableServiceLinks"] is False


@pods
def test_volumes_and_references_exist(name: str) -> None:
    """Each mount has its volume; the settings and the secret are those that exist."""
    pod = PODS[name]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container(name)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}

    own = {"budgets": BUDGETS_FOLDER.rstrip("/")} if name == "worker" else {}
    assert mounts == {"secrets": SECRETS_FOLDER.rstrip("/"), "tmp": "/tmp", **own}
    assert volumes.keys() == mounts.keys()
    assert not own or volumes["budgets"]["configMap"] == {"name": "bide-budgets"}
    assert volumes["secrets"]["secret"]["secretName"] == SECRET["metadata"]["name"]
    assert "sizeLimit" in volumes["tmp"]["emptyDir"]
    assert container(name)["envFrom"] == [{"configMapRef": {"name": "bide-settings"}}]
    assert container(name)["image"] == kustomization(OVERLAY)["images"][0]["name"]
    assert pod["serviceAccountName"] in ACCOUNTS


@pods
def test_probes_prove_consumption(name: str) -> None:
    """All three ask the process's own check, with time for Python to start; the one that kills is the most patient."""
    own = container(name)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert own[probe]["exec"]["command"] == SERVICES[name]["healthcheck"]["test"][1:]
        assert own[probe]["timeoutSeconds"] >= 10
    assert own["livenessProbe"]["periodSeconds"] * own["livenessProbe"]["failureThreshold"] >= 300


@pods
def test_grace_and_limits_are_composes(name: str) -> None:
    """What is right there is right here."""
    pod, compose = PODS[name]["spec"], SERVICES[name]
    memory = {"Gi": "g", "Mi": "m"}
    limit = container(name)["resources"]["limits"]["memory"]

    assert pod["terminationGracePeriodSeconds"] >= seconds(compose["stop_grace_period"])
    assert limit[:-2] + memory[limit[-2:]] == compose["deploy"]["resources"]["limits"]["memory"]
    assert {"cpu", "memory"} <= container(name)["resources"]["requests"].keys()


def test_ports_are_declared() -> None:
    """Services and network policies name ports that the pods have."""
    for one in OBJECTS:
        for name in selected(one["spec"]["selector"]) if one["kind"] == "Service" else ():
            [port] = one["spec"]["ports"]
            [own] = container(name)["ports"]
            assert (port["targetPort"], port["port"]) == (own["name"], own["containerPort"])
    open_to = [one for one in OBJECTS if one["kind"] == "NetworkPolicy" and one["spec"].get("ingress")]
    assert {name for one in open_to for name in selected(one["spec"]["podSelector"])} == {"flower", "metrics", "pages"}


def test_scaling_asks_for_metrics_that_exist() -> None:
    """The query names metrics of the exporter and states of the ledger; one worker's share is below its threads."""
    [scaled] = [one for one in OBJECTS if (one["kind"], one["metadata"]["name"]) == ("ScaledObject", "bide-worker")]
    [trigger] = scaled["spec"]["triggers"]
    query = trigger["metadata"]["query"]

    assert set(re.findall(r"bide_\w+", query)) <= {metric.name for metric in families(None)}
    [states] = re.findall(r'state=~"([^"]+)"', query)
    assert set(states.split("|")) == {"submitting", "storing", ANSWERING}
    threads = load({"BIDE_S3__BUCKET": "results"}, env_file=None).worker.concurrency
    assert 0 < int(trigger["metadata"]["threshold"]) < threads
    assert scaled["spec"]["minReplicaCount"] >= 2


def test_scaled_deployments_leave_their_number_to_keda() -> None:
    """The base's replicas are taken out where KEDA decides."""
    [patch] = kustomization(KEDA)["patches"]
    targets = re.compile(patch["target"]["name"])
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in OBJECTS if one["kind"] == "ScaledObject"}

    assert {f"bide-{name}" for name in PODS if targets.fullmatch(f"bide-{name}")} == scaled
    assert yaml.safe_load(patch["patch"]) == [{"op": "remove", "path": "/spec/replicas"}]
