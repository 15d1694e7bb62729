"""The statistics alone with what they stand on: broker, document store, service."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.stack.layout import Layout
from local.stack.part import Part
from local.stack.parts import infrastructure, services
from local.topics import definitions
from services.shared.bus.admin import ensure_topics

BASE_PORT = int(os.environ.get("RINGMASTER_BASE_PORT", "27300"))


@contextmanager
def stack(folder: Path, *, with_service: bool = True) -> Iterator[tuple[Layout, dict[str, Part]]]:
    """Run them; the parts go by name. Without the service it is there to be started later."""
    layout = Layout(folder, BASE_PORT)
    parts = {part.name: part for part in infrastructure(layout) if part.name != "objects"}
    parts |= {part.name: part for part in services(layout, {}) if part.name == "stats"}
    started: list[Part] = []
    try:
        for name in ("broker", "documents", *(["stats"] if with_service else [])):
            parts[name].start()
            started.append(parts[name])
            parts[name].wait_until_ready()
            if name == "broker":
                ensure_topics(layout.address("kafka"), definitions())
        yield layout, parts
    finally:
        if not with_service and parts["stats"].process is not None:
            parts["stats"].stop()
        for part in reversed(started):
            part.stop()
