"""Create the platform's topics from proto/topics: `python -m local.topics BOOTSTRAP`."""

import sys
from pathlib import Path

import yaml

from services.shared.bus.admin import TopicDefinition, ensure_topics

FOLDER = Path(__file__).resolve().parents[1] / "proto" / "topics"


def definitions() -> list[TopicDefinition]:
    """Read every topic's file."""
    return [
        TopicDefinition.from_document(yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.yaml"))
    ]


if __name__ == "__main__":
    for topic in ensure_topics(sys.argv[1], definitions()):
        print("created", topic)
