"""Where a recording lies: <root>/<tenant>/<call>/<recording>.wav. Ids are checked, so no value can lead elsewhere."""

import re
from pathlib import PurePosixPath

_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}").fullmatch
_PARTS = 3
ANSWERS = ".answers"
"""Folder below the root, which no recording's path can begin with."""


class UnsafeName(ValueError):
    """An id can't be a part of a path. The command that has it fails; nothing else can help."""


def safe_name(name: str) -> str:
    """Return a name that is one path component: letters, digits, `_`, `-`, inner dots. Raises UnsafeName."""
    if not _SAFE(name) or ".." in name:
        raise UnsafeName(f"{name[:40]!r} can't be a part of a path")
    return name


def recording_path(root: str, tenant_id: str, call_id: str, recording_id: str) -> str:
    """Return the file of a recording. Raises UnsafeName."""
    parts = (safe_name(tenant_id), safe_name(call_id), safe_name(recording_id) + ".wav")
    return str(PurePosixPath(root, *parts))


def answer_path(root: str, tenant_id: str, answer_id: str) -> str:
    """Return the file of what a caller answered to a menu: apart, so that nobody takes it for a recording.

    Raises UnsafeName.
    """
    return str(PurePosixPath(root, ANSWERS, safe_name(tenant_id), safe_name(answer_id) + ".wav"))


def recording_of(path: str, root: str) -> tuple[str, str] | None:
    """Return (recording id, path below the root), or None for a file that is not a recording of ours."""
    prefix = root.rstrip("/") + "/"
    if not path.startswith(prefix) or not path.endswith(".wav"):
        return None
    below = path[len(prefix) :]
    parts = below.removesuffix(".wav").split("/")
    if len(parts) != _PARTS or not all(_SAFE(part) and ".." not in part for part in parts):
        return None
    return parts[-1], below
