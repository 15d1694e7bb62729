from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from services.shared.bus.errors import BusUnavailable


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


def ensure_topics(bootstrap: str, definitions: list[TopicDefinition], replicas: int = 1) -> list[str]:
    """Create the topics that are missing; return their names. An existing topic is left as it is."""
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, client_id="ringmaster-topics")
    except KafkaError as error:
        raise BusUnavailable(f"no broker answers at {bootstrap}: {error}") from error
    try:
        missing = [wanted for wanted in definitions if wanted.topic not in set(admin.list_topics())]
        if missing:
            admin.create_topics([_new_topic(wanted, replicas) for wanted in missing])
        return [wanted.topic for wanted in missing]
    except TopicAlreadyExistsError:
        return []  # somebody else was quicker
    except KafkaError as error:
        raise BusUnavailable(f"topics can't be created: {error}") from error
    finally:
        admin.close()


def _new_topic(wanted: TopicDefinition, replicas: int) -> NewTopic:
    settings = {"cleanup.policy": wanted.cleanup, "retention.ms": str(wanted.retention_ms)}
    return NewTopic(wanted.topic, wanted.partitions, replicas, topic_configs=settings)
