"""A broker that takes nobody in the clear, nobody without a password, and lets each do what the chart grants alone.

Kafka itself, SASL_SSL with SCRAM-SHA-512 and its authorizer; the rights are those of the chart's KafkaUsers.
"""

import gc
import json
import socket
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import GroupAuthorizationFailedError, KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

from deploy.tools.programs import ProgramMissing, helm
from deploy.tools.schema import CHART
from local.broker import kafka
from services.cli.topics import definitions
from services.recorder.transcribe_bootstrap import ORDERS, build
from services.recorder.transcribe_settings import TranscribeSettings
from services.shared.bus.admin import ensure_topics, found_topics
from services.shared.bus.connecting import connected, identity_of_process
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.producer import Producer
from services.shared.bus.readings import Readings
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, TENANTS, feed_topic
from services.shared.chassis.clock import Clock
from services.shared.chassis.watch import Away, ask_broker
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from services.webhooks import feeder
from services.webhooks.adapters.broker import FEED_PARTITIONS, KafkaBus
from services.webhooks.by_company import ByCompany
from services.webhooks.domain.endpoint import Endpoint, endpoints_of
from services.webhooks.feeder import Feeder
from services.webhooks.hearing import Turn, heard
from tests.certificates import own_certificate
from tests.deploy.conftest import manifests, run_helm

RELEASE = "voice"
LONG_SECONDS = 60.0
"""A reader whose machine stood still for less stays in its group; a broker that is slow for less has not refused."""
USER, PASSWORD = "voice-router", "one-of-these-tests"
pytestmark = pytest.mark.kafka


@dataclass(frozen=True)
class Guarded:
    """The broker's address and the authority that its certificate is from."""

    bootstrap: str
    ca_file: Path


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write an authority's certificate, and a key store (key and chain in PEM) for 127.0.0.1."""
    chain, secret = own_certificate()
    ca_file, store = folder / "ca.crt", folder / "store.pem"
    ca_file.write_bytes(chain)
    store.write_bytes(secret + chain)
    return ca_file, store


def named(service: str) -> str:
    """Return the broker's user of a service, or of a feed's reader."""
    return f"{RELEASE}-ringmaster-{service}"


def guarded_properties(plain: str, port: int, store: Path) -> str:
    """Turn a node's properties into those of one that asks who comes; within itself the node goes on in the clear."""
    inner = free_port()
    changed = {
        "listeners": f"GUARDED://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{free_port()}",
        "advertised.listeners": f"GUARDED://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{inner}",
        "listener.security.protocol.map": "GUARDED:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.guarded.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{USER}",
    }
    controller = changed["listeners"].rpartition("CONTROLLER://")[2]
    changed["controller.quorum.voters"] = f"1@{controller}"
    kept = [line for line in plain.splitlines() if line.partition("=")[0].strip() not in changed]
    return "\n".join([*kept, *(f"{name}={value}" for name, value in changed.items())]) + "\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    try:
        kafka.ensure_jars()
    except kafka.BrokerMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("guarded")
    ca_file, store = certificate(folder)
    port, controller = free_port(), free_port()
    run = kafka.prepare(folder / "plain", port, controller, forgets=False)
    properties = folder / "server.properties"
    plain = (folder / "plain" / "server.properties").read_text(encoding="utf-8")
    properties.write_text(
        guarded_properties(plain.replace(str(folder / "plain" / "data"), str(folder / "data")), port, store),
        encoding="utf-8",
    )
    java = run[: run.index("kafka.Kafka")]
    names = [USER, *(named(service) for service in ("webhooks", "feed-acme", "feed-beta", "newcomer"))]
    scram = [word for name in names for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={PASSWORD}]")]
    words = ["kafka.tools.StorageTool", "format", "-t", kafka.CLUSTER_ID, "-c", str(properties), *scram]
    subprocess.run([*java, *words], check=True, capture_output=True, timeout=60)
    with (folder / "log").open("wb") as log:
        broker = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: _listens(port, broker, folder / "log"), "the broker listens")
        yield Guarded(f"127.0.0.1:{port}", ca_file)
    finally:
        broker.terminate()
        broker.wait(20)
        # kafka-python 3.0.12 leaves the socket of a handshake that failed to the garbage collector (net/manager.py).
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def _listens(port: int, broker: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert broker.poll() is None, log.read_text()[-2000:]
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def prove(monkeypatch: pytest.MonkeyPatch, guarded: Guarded, password: str = PASSWORD, *, user: str = USER) -> None:
    monkeypatch.setenv("RINGMASTER_KAFKA_CA_FILE", str(guarded.ca_file))
    monkeypatch.setenv("RINGMASTER_KAFKA_USER", user)
    monkeypatch.setenv("RINGMASTER_KAFKA_PASSWORD", password)


def test_who_proves_himself_makes_topics_sends_and_reads(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    prove(monkeypatch, guarded)
    ask_broker(guarded.bootstrap)
    wanted = definitions()
    assert len(ensure_topics(guarded.bootstrap, wanted)) == len(wanted)
    assert found_topics(guarded.bootstrap, [CALLS])[CALLS] == next(one for one in wanted if one.topic == CALLS)
    producer = Producer(guarded.bootstrap, "test")
    producer.send(CALLS, "oak", b"told in secret", timestamp_ms=1).wait(60)
    producer.close()
    reader = Consumer(guarded.bootstrap, None, [CALLS], "test")
    (record,) = wait_until(lambda: reader.poll(1.0), "the record comes back")
    reader.close()
    assert record.value == b"told in secret"


def test_each_company_reads_its_own_feed_from_any_moment_and_nothing_else(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, helm_program: Path
) -> None:
    prove(monkeypatch, guarded)
    ensure_topics(guarded.bootstrap, definitions())
    admin = KafkaAdminClient(bootstrap_servers=guarded.bootstrap, **identity_of_process())
    assert admin.create_acls(granted(helm_program))["failed"] == []
    # The service itself, as the user that the chart gives it, makes the topics and writes them.
    prove(monkeypatch, guarded, user=named("webhooks"))
    bus = KafkaBus(guarded.bootstrap)
    for tenant_id in FORMATS:
        wait_until(partial(_is_made, bus, tenant_id), f"the feed of {tenant_id} is made")
    admin.wait_for_topics([feed_topic(tenant_id) for tenant_id in FORMATS], timeout_ms=LONG_SECONDS * 1000)
    admin.close()
    producer = Producer(guarded.bootstrap, "webhooks")
    directory: Any = SimpleNamespace(endpoints=endpoints)
    # Once, and as long as it takes: what is written again after a time-out would be there twice.
    monkeypatch.setattr(feeder, "ACKNOWLEDGE_SECONDS", LONG_SECONDS)
    feeds = ByCompany(Feeder(producer, directory, bus.make_feed, lambda _name, write: gevent.spawn(write)))
    feeds.bring(Turn(tuple(heard(told(number, tenant)) for number in range(20) for tenant in FORMATS), {}))
    feeds.take(Flag())
    wait_until(lambda: not feeds.behind, "the feeds are written", 2 * LONG_SECONDS)
    producer.close()
    # A company's reader, as any client of Kafka does it.
    prove(monkeypatch, guarded, user=named("feed-acme"))
    reader = Consumer(guarded.bootstrap, "feed.acme.crm", [feed_topic("acme")], "crm", session_seconds=LONG_SECONDS)
    records = _all_of(reader, 20)
    assert sorted(record.headers["ce_id"] for record in records) == sorted(f"acme-{number}" for number in range(20))
    assert {json.loads(record.value)["data"]["tenant_id"] for record in records} == {"acme"}
    reader.commit({(one.topic, one.partition): one.offset + 1 for one in records})
    # Once more from a moment of the past on, though all of it was read and committed.
    for place in reader.assignment():
        reader.seek(*place, reader.offset_at(*place, BEGAN_MS + 12 * 60_000))
    assert sorted(record.timestamp_ms for record in _all_of(reader, 8)) == [
        BEGAN_MS + number * 60_000 for number in range(12, 20)
    ]
    reader.close()
    mine = connected(KafkaConsumer, guarded.bootstrap, group_id="feed.acme.x")
    assert mine.topics() == {feed_topic("acme")}, "it does not even see what else there is"
    mine.close()
    assert _reads(guarded, feed_topic("acme"), is_granted=True)
    assert [_reads(guarded, topic) for topic in (feed_topic("beta"), CALLS)] == [False, False]
    thief = connected(KafkaConsumer, guarded.bootstrap, group_id="feed.beta.x")
    thief.assign([TopicPartition(feed_topic("acme"), 0)])
    with pytest.raises(GroupAuthorizationFailedError):
        thief.commit({TopicPartition(feed_topic("acme"), 0): OffsetAndMetadata(1, "", -1)})
    thief.close()
    writer = connected(KafkaProducer, guarded.bootstrap, enable_idempotence=False)
    for topic in (feed_topic("acme"), feed_topic("beta"), CALLS):
        with pytest.raises(KafkaError):
            writer.send(topic, b"forged", partition=0).get(10)
    writer.close()
    prove(monkeypatch, guarded, user=named("feed-beta"))
    other = Consumer(guarded.bootstrap, "feed.beta.crm", [feed_topic("beta")], "crm", session_seconds=LONG_SECONDS)
    assert {Event.FromString(record.value).tenant_id for record in _all_of(other, 20)} == {"beta"}
    other.close()
    assert _reads(guarded, feed_topic("beta"), is_granted=True)
    assert not _reads(guarded, feed_topic("acme"))


class Newcomer:
    """A user that has no right at all yet, and who gives it some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, guarded: Guarded) -> None:
        prove(monkeypatch, guarded)
        ensure_topics(guarded.bootstrap, definitions())
        self._admin = KafkaAdminClient(bootstrap_servers=guarded.bootstrap, **identity_of_process())
        prove(monkeypatch, guarded, user=named("newcomer"))

    def give(self, operation: str, kind: str, name: str) -> None:
        assert self._admin.create_acls([self._right(operation, kind, name)])["failed"] == []

    def take(self, operation: str, kind: str, name: str) -> None:
        right = self._right(operation, kind, name)
        self._admin.delete_acls(
            [ACLFilter(right.principal, "*", right.operation, right.permission_type, right.resource_pattern)]
        )

    def end(self) -> None:
        self._admin.close()

    def _right(self, operation: str, kind: str, name: str) -> ACL:
        pattern = ResourcePattern(ResourceType[kind], name, ACLResourcePatternType.LITERAL)
        return ACL(f"User:{named('newcomer')}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, pattern)


@pytest.fixture
def newcomer(monkeypatch: pytest.MonkeyPatch, guarded: Guarded) -> Iterator[Newcomer]:
    found = Newcomer(monkeypatch, guarded)
    yield found
    found.end()


def test_a_reader_tells_what_it_is_refused_and_reads_as_soon_as_it_is_let_in(
    guarded: Guarded, newcomer: Newcomer
) -> None:
    readings = Readings()
    reader = Consumer(guarded.bootstrap, "someone", [CALLS], "newcomer", tells=readings.of(CALLS, "someone"))

    def told(words: str) -> bool:
        with suppress(BusUnavailable):
            reader.poll(0.5)
        return words in readings.trouble if words else not readings.trouble

    steps = {
        f"refuses the group someone: give the user {named('newcomer')} the right Read": ("READ", "GROUP", "someone"),
        "refuses the topic ringmaster.calls: give the user": ("DESCRIBE", "TOPIC", CALLS),
        "the rights Describe and Read on it": ("READ", "TOPIC", CALLS),
    }
    for words, right in steps.items():
        wait_until(lambda words=words: told(words), words, LONG_SECONDS)  # type: ignore[misc]
        newcomer.give(*right)
    wait_until(lambda: told(""), "it reads", LONG_SECONDS)
    newcomer.take("READ", "TOPIC", CALLS)
    wait_until(lambda: told("refuses the topic"), "a right that is taken away is told too", LONG_SECONDS)
    newcomer.give("READ", "TOPIC", CALLS)
    wait_until(lambda: told(""), "it reads again", LONG_SECONDS)
    reader.close()


def test_a_transcriber_whose_group_is_refused_is_not_ready_until_it_is_let_in(
    guarded: Guarded, newcomer: Newcomer, tmp_path: Path
) -> None:
    settings = TranscribeSettings(
        kafka_bootstrap=guarded.bootstrap,
        mongodb_uri="mongodb://127.0.0.1:9/nobody",
        s3_endpoint="http://127.0.0.1:9",
        s3_bucket="nothing",
        s3_access_key="nobody",
        s3_secret_key="nothing",
        transcribe_models=tmp_path,
        transcribe_clips=False,
    )
    transcriber, stopping = build(settings, Clock()), Flag()
    for operation in ("DESCRIBE", "READ"):
        for topic in (TENANTS, CALLS):
            newcomer.give(operation, "TOPIC", topic)
    running = [
        gevent.spawn(transcriber.tenants.run, stopping),
        gevent.spawn(transcriber.intake.run, stopping, transcriber.tenants.loaded),
    ]
    asker = transcriber.app.test_client()

    def says(words: str) -> bool:
        return words in asker.get("/readyz").get_data(as_text=True)

    assert says(" is not read yet")
    wait_until(lambda: says(f"the broker refuses the group {ORDERS}: give the user"), "it says why", LONG_SECONDS)
    newcomer.give("READ", "GROUP", ORDERS)
    wait_until(lambda: asker.get("/readyz").status_code == 200, "it is ready", LONG_SECONDS)
    stopping.set()
    gevent.joinall(running, timeout=LONG_SECONDS)


def test_a_wrong_password_is_told_in_one_sentence(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    prove(monkeypatch, guarded, "another-password")
    with pytest.raises(BusUnavailable, match="no broker answers at") as refused:
        Producer(guarded.bootstrap, "test")
    assert "another-password" not in str(refused.value)


def test_a_certificate_of_somebody_else_is_not_believed(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other, _ = certificate(tmp_path)
    prove(monkeypatch, Guarded(guarded.bootstrap, other))
    with pytest.raises(Away, match="certificate verify failed"):
        ask_broker(guarded.bootstrap)
    with pytest.raises(BusUnavailable):
        Producer(guarded.bootstrap, "test")
    gc.collect()  # a socket that was left to it fails this test, not one that comes after


def test_a_password_is_never_sent_in_the_clear(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGMASTER_KAFKA_USER", USER)
    monkeypatch.setenv("RINGMASTER_KAFKA_PASSWORD", PASSWORD)
    with pytest.raises(BusUnavailable, match="needs RINGMASTER_KAFKA_CA_FILE"):
        Producer(guarded.bootstrap, "test")


def granted(helm_program: Path) -> list[ACL]:
    """Return the rights of the chart's users, for two companies that read their feeds."""
    values = ["--namespace=voice", f"--values={CHART / 'ci' / 'everything-values.yaml'}"]
    done = run_helm(helm_program, "template", *values, "--set", "kafka.strimzi.feedReaders={acme,beta}")
    users = [one for one in manifests(done.stdout) if one["kind"] == "KafkaUser"]
    return [
        ACL(
            f"User:{user['metadata']['name']}",
            "*",
            ACLOperation[OPERATIONS.get(operation, operation.upper())],
            ACLPermissionType.ALLOW,
            ResourcePattern(
                ResourceType[acl["resource"]["type"].upper()],
                acl["resource"].get("name", "kafka-cluster"),
                PATTERNS[acl["resource"].get("patternType", "literal")],
            ),
        )
        for user in users
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    ]


OPERATIONS = {"DescribeConfigs": "DESCRIBE_CONFIGS"}
PATTERNS = {"literal": ACLResourcePatternType.LITERAL, "prefix": ACLResourcePatternType.PREFIXED}


@pytest.fixture(scope="module")
def helm_program() -> Path:
    try:
        return helm()
    except ProgramMissing as missing:
        pytest.skip(str(missing))


def told(number: int, tenant_id: str) -> Record:
    event = Event(event_id=f"{tenant_id}-{number}", tenant_id=tenant_id, call_id=f"call-{number}")
    event.call_ended.wait_ms = number
    value, at_ms = event.SerializeToString(), BEGAN_MS + number * 60_000
    return Record(CALLS, 0, number, at_ms, tenant_id, value, {"ce_id": event.event_id})


BEGAN_MS = 1_767_607_200_000
FORMATS = {"acme": tn.FEED_FORMAT_JSON, "beta": tn.FEED_FORMAT_PROTOBUF}


def endpoints(tenant_id: str) -> list[Endpoint]:
    channel = tn.Channel(channel_id="topic", feed=tn.FeedChannel(format=FORMATS[tenant_id]))
    return list(endpoints_of(tn.TenantDocument(tenant_id=tenant_id, channels=[channel])))


def _is_made(bus: KafkaBus, tenant_id: str) -> bool:
    """Whether a feed's topic is there; the rights to make it were granted a moment ago."""
    try:
        bus.make_feed(tenant_id)
    except BusUnavailable:
        return False
    return True


def _all_of(reader: Consumer, count: int) -> list[Record]:
    """Return so many records, each once."""
    found: dict[str, Record] = {}

    def have_come() -> bool:
        found.update({one.headers["ce_id"]: one for one in reader.poll(0.5)})
        return len(found) >= count

    wait_until(have_come, f"{count} records come")
    assert len(found) == count
    return list(found.values())


def _reads(guarded: Guarded, topic: str, *, is_granted: bool = False) -> bool:
    """Whether a client without a group gets anything of a topic; what is granted is waited for."""
    client = connected(KafkaConsumer, guarded.bootstrap, group_id=None)
    places = [TopicPartition(topic, number) for number in range(FEED_PARTITIONS)]
    client.assign(places)
    for place in places:
        client.seek(place, 0)
    if is_granted:
        found = bool(wait_until(lambda: client.poll(300), f"{topic} is read"))
    else:
        found = any(client.poll(300) for _ in range(5))
    client.close()
    return found
