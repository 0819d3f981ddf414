"""Stores that are no S3 in one way or another: one that refuses everything, and proxies before a real server."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bide.storage import Storage
from tests.contract.stores import storage_at
from tests.web_server import Reply, Request, WebServer


@dataclass(frozen=True)
class Answered:
    """What a store answers by itself."""

    status: int
    body: bytes = b""


def refused(status: int, code: str, message: str = "no") -> Answered:
    """An error in S3's form; without a code it has no body."""
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answered(status, error.encode() if code else b"")


class Server(WebServer):
    """A web server as a store."""

    def storage(self, **options: Any) -> Storage:
        return storage_at(self.url, **options)


class Refuser(Server):
    """A store that answers every request alike and remembers what came."""

    def __init__(self, status: int, code: str, message: str = "no") -> None:
        answered = refused(status, code, message)
        super().__init__(lambda _: (answered.status, {}, answered.body))


#: What a proxy answers by itself; None: the request goes on to the real server.
Rule = Callable[[Request], Answered | None]


class Proxy(Server):
    """A store before a real one, which answers by `rule` first. The rule may be changed while it serves."""

    def __init__(self, url: str, rule: Rule) -> None:
        self.rule, self._target = rule, urlsplit(url)
        super().__init__(self._answer)

    def _answer(self, request: Request) -> Reply:
        if answered := self.rule(request):
            return answered.status, {"Content-Type": "application/xml"}, answered.body
        connection = http.client.HTTPConnection(self._target.hostname or "", self._target.port, timeout=10)
        try:
            kept = {name: value for name, value in request.headers.items() if name not in ("expect", "connection")}
            connection.request(request.method, request.target, request.body, kept)
            answer = connection.getresponse()
            skipped = {"content-length", "transfer-encoding", "connection", "server", "date"}
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in skipped}
            return answer.status, headers, answer.read()
        finally:
            connection.close()


def takes_all(_: Request) -> Answered | None:
    """A store without a flaw."""
    return None


def refuses_all(_: Request) -> Answered | None:
    """Keys that may do nothing."""
    return refused(403, "AccessDenied", "Access Denied.")


def like_backblaze(request: Request) -> Answered | None:
    """Any header of S3's newer checksums is refused (iterate-ch/cyberduck#16107, home-assistant/core#143995)."""
    unknown = _checksum_headers(request)
    if not unknown:
        return None
    return refused(400, "InvalidArgument", f"Unsupported header '{unknown[0]}' received for this API call.")


def like_r2(request: Request) -> Answered | None:
    """The same headers as not implemented (cloudflare/cloudflare-docs#4508)."""
    unknown = _checksum_headers(request)
    if not unknown:
        return None
    value = request.headers[unknown[0]]
    return refused(501, "NotImplemented", f"Header '{unknown[0]}' with value '{value}' not implemented")


def malformed_completion(request: Request) -> Answered | None:
    """Digests of parts are no XML that it knows: it refuses only the end of an upload in parts."""
    if _completes(request) and b"Checksum" in request.body:
        return refused(400, "MalformedXML", "The XML you provided was not well-formed.")
    return None


def broken_completion(request: Request) -> Answered | None:
    """The same as an error of its own (gaul/s3proxy#656)."""
    return refused(500, "InternalError", "") if _completes(request) and b"Checksum" in request.body else None


def no_digest_at_all(request: Request) -> Answered | None:
    """It knows no digest, the old one neither."""
    if "content-md5" in request.headers:
        return refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented.")
    return like_backblaze(request)


def no_parts(request: Request) -> Answered | None:
    """It has no uploads in parts."""
    return refused(501, "NotImplemented") if request.method == "POST" else None


def loses_all(request: Request) -> Answered | None:
    """It says yes to an object, and keeps nothing."""
    return Answered(200) if request.method == "PUT" and "partNumber" not in request.target else None


def keeps_nothing_in_parts(request: Request) -> Answered | None:
    """It says yes to the end of an upload, and keeps nothing."""
    done = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
    return Answered(200, done) if _completes(request) else None


def _checksum_headers(request: Request) -> list[str]:
    return sorted(name for name in request.headers if name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum-")))


def _completes(request: Request) -> bool:
    return request.method == "POST" and "uploadId=" in request.target
