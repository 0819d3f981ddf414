"""A real S3 for tests: signatures checked, buckets in a folder, on a port of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.integration.processes import Process, plain_environment
from tests.integration.servers import free_port

BUCKET = "results"
REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "tests", "not-a-secret-of-anybody"


class ObjectStore:
    """A nanio; `stop` and `start` come back to the same address and objects."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        (folder / "objects" / BUCKET).mkdir(parents=True)
        command = [sys.executable, "-m", "workers.embedded.objects", "serve", "--host", "127.0.0.1"]
        command += [
            "--port",
            str(self._port),
            "--data-dir",
            str(folder / "objects"),
            "--region",
            REGION,
            "--no-access-log",
        ]
        env = {**plain_environment(), "NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
        ready, log = r"http://127\.0\.0\.1:\d+", folder / "objects.log"
        self.process = Process("objects", command, env=env, ready=ready, log=log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self) -> dict[str, str]:
        """The settings by which a deployment finds it."""
        return {
            "BIDE_S3__BUCKET": BUCKET,
            "BIDE_S3__ENDPOINT_URL": self.url,
            "BIDE_S3__REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def client(self) -> Any:
        """A client that owes nothing to ours."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def names(self, prefix: str = "") -> list[str]:
        """The keys below a prefix, in order."""
        client = self.client()
        try:
            found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
            return sorted(entry["Key"] for entry in found.get("Contents", ()))
        finally:
            client.close()

    def read(self, key: str) -> tuple[bytes, dict[str, Any]]:
        """An object's bytes and what the store says of it."""
        client = self.client()
        try:
            answer = client.get_object(Bucket=BUCKET, Key=key)
            return answer["Body"].read(), answer
        finally:
            client.close()
