"""The command line against what it is for: a true broker, a document store, an object store."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from local.stack.layout import ROOT, Layout
from local.stack.parts import BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY, infrastructure
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.waiting import wait_until

SECRET = "a-secret-of-these-tests"
pytestmark = pytest.mark.kafka


def ringmaster(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    given = {name: value for name, value in os.environ.items() if not name.startswith("RINGMASTER_")}
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "services.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
        env=given | {f"RINGMASTER_{name.upper()}": value for name, value in environment.items()},
    )


def test_topics_are_created_once_and_found_well(kafka_bootstrap: str) -> None:
    made = ringmaster("topics", "create", kafka_bootstrap=kafka_bootstrap)
    assert (made.returncode, made.stderr) == (0, "")
    assert "topics are as they should be" in made.stdout
    assert ringmaster("topics", "check", kafka_bootstrap=kafka_bootstrap).returncode == 0


def test_a_count_of_partitions_that_is_not_the_wanted_one_is_told_and_left(kafka_bootstrap: str) -> None:
    told = ringmaster("topics", "create", "--partitions", "48", kafka_bootstrap=kafka_bootstrap)
    assert told.returncode == 1
    assert "ringmaster.inputs has 4 partitions, 48 are wanted" in told.stderr


def test_tail_tells_the_calls_of_one_company_as_people_read_them(kafka_bootstrap: str) -> None:
    producer = Producer(kafka_bootstrap, "test")
    for tenant in ("cli-elm", "cli-oak"):  # under one key: the other company's is read first
        event = Event(tenant_id=tenant, call_id="0123456789", event_id=f"{tenant}-1")
        event.call_started.line = "+380441000001"
        event.call_started.caller.name = "\x1b[31mMallory"
        event.time.FromMilliseconds(1_700_000_000_000)
        producer.send(CALLS, "cli-oak", event.SerializeToString(), timestamp_ms=1_700_000_000_000).wait(60)
    producer.close()
    words = (sys.executable, "-m", "services.cli", "calls", "tail", "--all", "--tenant", "cli-oak", "--seconds", "60")
    tail = subprocess.Popen(  # noqa: S603 - our own program
        words,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"RINGMASTER_KAFKA_BOOTSTRAP": kafka_bootstrap},
    )
    with tail:
        assert tail.stdout is not None
        told = tail.stdout.readline()
        tail.terminate()
    assert "calls +380441000001" in told
    assert "cli-elm" not in told
    assert "\x1b" not in told


def test_tail_ends_by_itself_after_the_seconds_it_was_given(kafka_bootstrap: str) -> None:
    told = ringmaster("calls", "tail", "--tenant", "cli-nobody", "--seconds", "1", kafka_bootstrap=kafka_bootstrap)
    assert (told.returncode, told.stdout) == (0, "")


def free_base_port() -> int:
    """Return the first of a run of ports that nobody listens on."""
    for base in range(22_000, 22_700, 50):
        if not any(_listens(base + offset) for offset in range(20)):
            return base
    pytest.fail("no run of free ports")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def stores(tmp_path: Path, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Give the environment of a machine on which everything is well."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka_bootstrap)
    layout = Layout(tmp_path, free_base_port())
    parts = infrastructure(layout)
    try:
        for part in parts:
            part.start()
        for part in parts:
            part.wait_until_ready()
        make_bucket(layout.url("objects"))
        for name in ("tokens.json", "webhooks.json"):
            (tmp_path / name).write_text("{}", encoding="utf-8")
        yield {
            "kafka_bootstrap": kafka_bootstrap,
            "mongodb_uri": f"mongodb://{layout.address('documents')}",
            "s3_endpoint": layout.url("objects"),
            "s3_bucket": BUCKET,
            "s3_access_key": S3_ACCESS_KEY,
            "s3_secret_key": S3_SECRET_KEY,
            "api_tokens": str(tmp_path / "tokens.json"),
            "webhook_secrets": str(tmp_path / "webhooks.json"),
            "directory_password": SECRET,
            "phone_secret": SECRET,
            "erasure_secret": 2 * SECRET,
            "esl_password": SECRET,
            "recorder_encryption": "AES256",
        }
    finally:
        for part in reversed(parts):
            part.stop()


def make_bucket(endpoint: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=S3_ACCESS_KEY,
        aws_secret_access_key=S3_SECRET_KEY,
        region_name="us-east-1",
        config=Config(signature_version="s3v4"),
    )

    def made() -> bool:
        return int(client.create_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPStatusCode"]) == 200

    wait_until(made, "the object store makes a bucket")


@pytest.mark.stack
def test_the_doctor_finds_a_well_platform_well_and_says_of_each_illness_what_it_is(stores: dict[str, str]) -> None:
    well = ringmaster("doctor", "--json", **stores)
    states = {one["check"]: one["state"] for one in json.loads(well.stdout)}
    assert well.returncode == 0, well.stdout
    assert set(states.values()) == {"well", "left out"}
    ill = ringmaster(
        "doctor",
        "--json",
        **stores
        | {
            "kafka_bootstrap": "127.0.0.1:9",
            "mongodb_uri": "mongodb://127.0.0.1:9",
            "s3_secret_key": "wrong",
            "api_tokens": "/nowhere/tokens.json",
            "webhook_secrets": __file__,
            "phone_secret": "short",
            "erasure_secret": "short",
            "esl_host": "127.0.0.1",
            "esl_port": "9",
            "doctor_services": "console=http://127.0.0.1:9",
            "channel_secrets": __file__,
            "smtp_host": "127.0.0.1",
            "smtp_port": "9",
            "transcribe_engine": "vosk:uk=ws://127.0.0.1:9",
        },
    )
    words = {one["check"]: one["words"] for one in json.loads(ill.stdout) if one["state"] == "ILL"}
    assert ill.returncode == 1
    assert words.keys() == states.keys()
    assert words["broker"] == "no broker answers (RINGMASTER_KAFKA_BOOTSTRAP): 127.0.0.1:9: Connection refused"
    assert words["documents"] == "the document store does not answer (RINGMASTER_MONGODB_URI)"
    assert "refuses with SignatureDoesNotMatch" in words["objects"]
    assert words["tokens"] == "RINGMASTER_API_TOKENS: /nowhere/tokens.json: No such file or directory"
    assert "this is not JSON" in words["webhooks"]
    assert words["erasures"] == "RINGMASTER_ERASURE_SECRET must have at least 32 characters"
    assert words["phones"] == "RINGMASTER_PHONE_SECRET must have 16 characters at least"
    assert all("Connection refused" in words[name] for name in ("switch", "mail"))
    assert words["speech"].startswith("ws://127.0.0.1:9: Connection refused")
    assert "RINGMASTER_CHANNEL_SECRETS" in words["channels"]
    assert words["services"].startswith("console: it does not answer")


@pytest.mark.stack
def test_a_company_is_applied_listed_and_rolled_back(stores: dict[str, str], tmp_path: Path) -> None:
    source = (ROOT / "local" / "demo" / "tenants" / "borealis.yaml").read_text(encoding="utf-8")
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(source.replace("${RECEIVER_PORT}", "9"), encoding="utf-8")
    second.write_text(first.read_text(encoding="utf-8").replace("Borealis Travel", "Boreal"), encoding="utf-8")
    for path in (first, second):
        done = ringmaster("tenants", "apply", str(path), **stores)
        assert done.returncode == 0, done.stderr
    shown = ringmaster("tenants", "rollback", "borealis", "1", "--dry-run", **stores)
    assert "Borealis Travel" in shown.stdout
    back = ringmaster("tenants", "rollback", "borealis", "1", **stores)
    assert "borealis: applied as version 3" in back.stdout
    listed = ringmaster("tenants", "history", "borealis", **stores)
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["3", "2", "1"]
    unknown = ringmaster("tenants", "rollback", "borealis", "9", **stores)
    assert (unknown.returncode, unknown.stderr) == (1, "There is no such tenant or version.\n")
