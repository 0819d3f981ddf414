"""A machine of its own for containers: mounts, processes and networks that are gone with the process that holds them.

podman runs in namespaces, so that no mount, bridge, firewall rule or container of it can be seen from outside. Its
files lie in one folder. Whatever ends the tests ends the holder, and with it every process in there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.waiting import eventually

#: What a machine needs: podman and what it calls, what makes a base image, what makes namespaces.
PROGRAMS = (
    "podman",
    "podman-compose",
    "runc",
    "conmon",
    "catatonit",
    "iptables",
    "debootstrap",
    "unshare",
    "nsenter",
    "setpriv",
    "ip",
    "weed",
)

#: Programs of the tests' own environment are found, too.
PATH = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""

_STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "/run/containers/storage"
"""

#: No registry is asked: an image that is not there is an error.
_REGISTRIES_CONF = 'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "permissive"\n'

_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'

#: What is written to /etc and /var lies in the folder: podman has caches there that no option moves. catatonit is the
#: first process: it collects those whose parents have ended.
_HOLD = """\
mount -t tmpfs tmpfs /run
for name in etc var; do
    mkdir {folder}/over-$name {folder}/work-$name
    mount -t overlay overlay -o lowerdir=/$name,upperdir={folder}/over-$name,workdir={folder}/work-$name /$name
done
mkdir -p /etc/containers
cp {folder}/settings/* /etc/containers
ip link set lo up
touch {folder}/ready
exec catatonit -- sleep infinity
"""


def why_not() -> str:
    """Why there can be no such machine here; '' where there can."""
    if os.geteuid() != 0:
        return "containers want root here"
    if missing := [program for program in PROGRAMS if not shutil.which(program, path=PATH)]:
        return f"not installed: {', '.join(missing)} (`make test-containers` installs them on Debian)"
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return f"no namespaces of one's own: {done.stderr.strip()}" if done.returncode else ""


class Machine:
    """`with Machine(folder) as machine: machine.run(...)`. The folder is gone afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cgroup = f"/bide-containers-{os.getpid()}"
        self._holder: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        (self.folder / "settings").mkdir()
        files = {
            "containers.conf": _CONTAINERS_CONF,
            "storage.conf": _STORAGE_CONF.format(folder=self.folder),
            "registries.conf": _REGISTRIES_CONF,
            "policy.json": _POLICY,
        }
        for name, text in files.items():
            (self.folder / "settings" / name).write_text(text)
        try:
            self._hold()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(
        self,
        *command: str,
        cwd: Path | None = None,
        text: str | None = None,
        outside: bool = False,
        check: bool = True,
        seconds: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in there, with `text` as its input; `outside`: with the network of this host, for downloads.

        Raises `AssertionError` with its output where it fails, unless `check` is False.
        """
        network = [] if outside else ["--net"]
        entered = ["nsenter", f"--target={self._pid}", "--mount", "--pid", *network, f"--wd={cwd or self.folder}"]
        environment = {"PATH": PATH, "HOME": str(self.folder), "LANG": "C.UTF-8", "DISABLE_HC_SYSTEMD": "true"}
        done = subprocess.run(
            [*entered, "--", *command],
            env=environment,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def close_names(self) -> None:
        """From now on there is no name server but the networks' own: a name that they lack is unknown at once."""
        (self.folder / "no-names").touch()
        self.run("mount", "--bind", str(self.folder / "no-names"), "/etc/resolv.conf")

    def _hold(self) -> None:
        command: Sequence[str] = (
            *("setpriv", "--pdeathsig", "KILL"),  # it does not outlive the tests, however they end
            *("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"),
            *("bash", "-euc", _HOLD.format(folder=self.folder)),
        )
        self._holder = subprocess.Popen(command, env={"PATH": PATH}, start_new_session=True)
        eventually(self._ready, what="the namespaces are there", within_seconds=30)
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._pid = int(children.read_text())

    def _ready(self) -> bool:
        assert self._holder is not None
        assert self._holder.poll() is None, "the namespaces could not be made"
        return (self.folder / "ready").exists()

    def _end(self) -> None:
        """End the holder; the kernel ends all that runs in its namespaces, and takes down its mounts and networks."""
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            eventually(lambda: not Path(f"/proc/{self._pid}").exists(), what="the namespaces are gone")
        eventually(self._cgroups_gone, what="the containers' control groups are gone")
        shutil.rmtree(self.folder)

    def _cgroups_gone(self) -> bool:
        """Remove the control groups that were made for this machine, deepest first; True once none is left."""
        mine = [path for path in Path("/sys/fs/cgroup").glob(f"**{self.cgroup}") if path.is_dir()]
        for top in mine:
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:  # a process of it is ending still
                    return False
        return True
