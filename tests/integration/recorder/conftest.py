import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pymongo.database import Database

from services.shared.chassis.documents import open_database
from services.shared.testing.document_store import store_command
from services.shared.testing.object_store import PROGRAM, free_ports, objects_command
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.integration.recorder.nursery import Nursery

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START_SECONDS = 60.0
ACCESS_KEY = "recorder"
SECRET_KEY = "recorder-secret"


@dataclass(frozen=True)
class Objects:
    """An object store with one bucket of this test's own."""

    endpoint: str
    bucket: str

    def client(self) -> "S3Client":
        """Return a client of its own, apart from the recorder's."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def contents(self) -> dict[str, bytes]:
        """Fetch everything in the bucket."""
        client = self.client()
        try:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                return {}
            raise
        return {key: client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def program(name: str) -> str:
    """Return a program that a package brought, or skip with its name."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="session")
def object_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the object store's disk."""
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="session")
def object_endpoint(object_folder: Path) -> Iterator[str]:
    """Start a real object store that checks signatures, with a key service of its own (envelopes of AES-GCM)."""
    folder, ports = object_folder, free_ports()
    program(PROGRAM)
    # A key that is named as keys are is made when it is first used; another name is refused.
    keys = {"default_provider": "local", "providers": {"local": {"type": "local", "enableOnDemandCreate": True}}}
    command = objects_command(folder, ports, ACCESS_KEY, SECRET_KEY, {"kms": keys})
    # Each bucket has a volume of its own, and each test a bucket: not only as many as there are free gigabytes.
    command += ["-volume.max=1000"]
    endpoint = f"http://127.0.0.1:{ports[0][0]}"
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - the command is our own
    try:
        wait_until(lambda: _answers(endpoint), "the object store's first answer")
        yield endpoint
    finally:
        process.kill()
        process.wait(10)


def _answers(endpoint: str) -> bool:
    try:
        Objects(endpoint, "probe").client().create_bucket(Bucket="probe")
    except Exception:  # noqa: BLE001 - whatever it is, it does not answer yet
        return False
    return True


@pytest.fixture
def objects(object_endpoint: str) -> Objects:
    """Give each test a bucket of its own; the recorder makes it."""
    return Objects(object_endpoint, f"test-{uuid4().hex[:12]}")


@pytest.fixture(scope="session")
def documents_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a document store that keeps what it acknowledged."""
    folder = tmp_path_factory.mktemp("documents")
    port = free_port()
    command = store_command(port, folder)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - the command is our own
    try:
        wait_until(lambda: listens(port), "the document store's first answer")
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture
def documents_uri(documents_server: str) -> str:
    """Give each test a database of its own."""
    return f"{documents_server}/test_{uuid4().hex[:12]}"


@pytest.fixture
def database(documents_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """Open this test's database, and close it."""
    opened = open_database(documents_uri, "test")
    yield opened
    opened.client.close()


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Start what forks passes."""
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()
