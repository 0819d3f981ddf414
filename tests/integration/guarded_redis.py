"""Redis as it stands in production: behind TLS, on a Unix socket, or led by a sentinel; certificates are made here."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.servers import free_port, redis_binary
from tests.integration.waiting import eventually

PASSWORD = "hush-redis"


class Server:
    """One process of redis-server with a configuration of its own; `ready` connects to it as a test does."""

    def __init__(self, folder: Path, lines: list[str], ready: redis.Redis, *, sentinel: bool = False) -> None:
        folder.mkdir()
        self._log, self._ready = folder / "log", ready
        config = folder / "redis.conf"
        config.write_text("\n".join([f"dir {folder}", 'save ""', *lines]) + "\n")
        self._command = [redis_binary(), str(config), *(["--sentinel"] if sentinel else [])]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        eventually(self._answers, what="the server answers")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ready.close()
        self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: int) -> None:
        """Any other signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(self._log.read_text())
        try:
            return bool(self._ready.ping())
        except redis.ConnectionError:
            return False


@contextmanager
def tls_redis(folder: Path) -> Iterator[str]:
    """A Redis that speaks TLS alone; its address, with the authority that signed its certificate."""
    authority, certificate, key = certificates(folder)
    port = free_port()
    lines = [
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {key}",
        f"tls-ca-cert-file {authority}",
        "tls-auth-clients no",
    ]
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority}"
    with Server(folder / "tls", lines, redis.Redis.from_url(url)):
        yield url


@contextmanager
def socket_redis(folder: Path) -> Iterator[str]:
    """A Redis on a Unix socket alone; its address."""
    path = folder / "redis.sock"
    url = f"unix://{path}?db=0"
    with Server(folder / "unix", ["port 0", f"unixsocket {path}"], redis.Redis.from_url(url)):
        yield url


@contextmanager
def led_redis(folder: Path, master_name: str) -> Iterator[tuple[str, Server]]:
    """A Redis with a copy, led by a sentinel; the sentinel's address, and the one that leads at first."""
    first, second, sentinel = free_port(), free_port(), free_port()
    secret = [f"requirepass {PASSWORD}", f"masterauth {PASSWORD}", "bind 127.0.0.1", "repl-diskless-sync-delay 0"]
    watch = [
        "bind 127.0.0.1",
        f"port {sentinel}",
        f"sentinel monitor {master_name} 127.0.0.1 {first} 1",
        f"sentinel auth-pass {master_name} {PASSWORD}",
        f"sentinel down-after-milliseconds {master_name} 500",
        f"sentinel failover-timeout {master_name} 3000",
    ]
    with ExitStack() as stack:

        def node(name: str, port: int, *lines: str) -> Server:
            ready = redis.Redis(port=port, password=PASSWORD, decode_responses=True)
            return stack.enter_context(Server(folder / name, [f"port {port}", *secret, *lines], ready))

        leader = node("first", first)
        node("second", second, f"replicaof 127.0.0.1 {first}")
        watcher = redis.Redis(port=sentinel, decode_responses=True)
        stack.enter_context(Server(folder / "sentinel", watch, watcher, sentinel=True))
        eventually(lambda: _copies(watcher, master_name), what="the sentinel knows the copy")
        yield f"sentinel://:{PASSWORD}@127.0.0.1:{sentinel}/0;sentinel://127.0.0.1:{free_port()}/0", leader


def _copies(watcher: redis.Redis, master_name: str) -> bool:
    """Whether a copy is there, and up to date."""
    found = watcher.sentinel_slaves(master_name)
    return any(one["master-link-status"] == "ok" for one in found)


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, and one that it signed for 127.0.0.1, with its key."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("authority", authority_key, authority_key, "authority", ca=True)
    server = _certificate("127.0.0.1", server_key, authority_key, "authority", ca=False)
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = {"authority.pem": authority, "server.pem": server, "server.key": key}
    for name, content in made.items():
        (folder / name).write_bytes(content)
    first, second, third = (folder / name for name in made)
    return first, second, third


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signing_key: ec.EllipticCurvePrivateKey,
    issuer: str,
    *,
    ca: bool,
) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        address = x509.IPAddress(ipaddress.ip_address(name))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(signing_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
