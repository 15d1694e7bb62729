"""Create the platform's topics from proto/topics: `python -m local.topics BOOTSTRAP`."""

import sys

from services.cli.topics import definitions
from services.shared.bus.admin import ensure_topics

__all__ = ["definitions"]

if __name__ == "__main__":
    for topic in ensure_topics(sys.argv[1], definitions()):
        print("created", topic)
