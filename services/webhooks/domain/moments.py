from datetime import UTC, datetime


def moment_of(at_ms: int) -> str:
    """Return a moment as RFC 3339, UTC, with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
