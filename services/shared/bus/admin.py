from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from services.shared.bus.connecting import BOOTSTRAP_MS, identity_of_process, must_listen
from services.shared.bus.errors import BusUnavailable

_RETENTION, _SEGMENT, _CLEANUP = "retention.ms", "segment.ms", "cleanup.policy"


@dataclass(frozen=True, slots=True)
class TopicDefinition:
    """A topic as its file in proto/topics says: `retention_ms` -1 = for ever, `cleanup` delete or compact."""

    topic: str
    partitions: int
    retention_ms: int
    cleanup: str

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "TopicDefinition":
        """Read the parts that a broker needs from a parsed file."""
        return cls(document["topic"], document["partitions"], document["retention_ms"], document["cleanup"])

    def with_partitions(self, partitions: int) -> "TopicDefinition":
        """Return the same topic for another size of the platform."""
        return replace(self, partitions=partitions)


def ensure_topics(bootstrap: str, definitions: list[TopicDefinition], replicas: int = 1) -> list[str]:
    """Create the topics that are missing; return their names. An existing topic is left as it is."""
    with _admin(bootstrap, "topics can't be created") as admin:
        known = set(admin.list_topics())
        missing = [wanted for wanted in definitions if wanted.topic not in known]
        try:
            if missing:
                admin.create_topics([_new_topic(wanted, replicas) for wanted in missing])
        except TopicAlreadyExistsError:
            return []  # somebody else was quicker
        return [wanted.topic for wanted in missing]


def found_topics(bootstrap: str, names: list[str]) -> dict[str, TopicDefinition]:
    """Return those of the topics that the broker has, as they are there. Raises BusUnavailable."""
    with _admin(bootstrap, "topics can't be looked at") as admin:
        there = sorted(set(names) & set(admin.list_topics()))
        if not there:
            return {}
        partitions = {one["name"]: len(one["partitions"]) for one in admin.describe_topics(there)}
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
        configs = admin.describe_configs(wanted, config_filter="all")["topic"]
    return {name: _found(name, partitions[name], configs[name]) for name in there}


def kept_ms(bootstrap: str, names: list[str]) -> dict[str, int]:
    """Return how long those of the topics that are there keep a record at most; topics that keep for ever are left out.

    Kafka deletes whole segments, by their newest record: a record stays until its segment is full or as old as
    segment.ms, and then for retention.ms. Raises BusUnavailable.
    """
    with _admin(bootstrap, "topics can't be looked at") as admin:
        there = sorted(set(names) & set(admin.list_topics()))
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
        configs = admin.describe_configs(wanted, config_filter="all")["topic"] if there else {}
    found = {name: [int(configs[name][setting]["value"]) for setting in (_RETENTION, _SEGMENT)] for name in there}
    return {name: sum(parts) for name, parts in found.items() if parts[0] >= 0}


def _found(name: str, partitions: int, config: dict[str, Any]) -> TopicDefinition:
    return TopicDefinition(name, partitions, int(config[_RETENTION]["value"]), config[_CLEANUP]["value"])


@contextmanager
def _admin(bootstrap: str, what: str) -> Iterator[Any]:
    must_listen(bootstrap)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap,
            client_id="ringmaster-topics",
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            **identity_of_process(),
        )
    except KafkaError as error:
        raise BusUnavailable(f"no broker answers at {bootstrap}: {error}") from error
    try:
        yield admin
    except KafkaError as error:
        raise BusUnavailable(f"{what}: {error}") from error
    finally:
        admin.close()


def _new_topic(wanted: TopicDefinition, replicas: int) -> NewTopic:
    settings = {_CLEANUP: wanted.cleanup, _RETENTION: str(wanted.retention_ms)}
    return NewTopic(wanted.topic, wanted.partitions, replicas, topic_configs=settings)
