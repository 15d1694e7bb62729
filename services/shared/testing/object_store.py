"""An object store of a run's own: the true program, which checks signatures, on ports that were given out for it."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.shared.testing.ports import free_port

PARTS = ("s3", "master", "volume", "filer", "admin")
"""What it consists of, each with a port for HTTP and one for gRPC; `s3` is what a client speaks with."""
PROGRAM = "weed"


def free_ports() -> list[tuple[int, int]]:
    """Return ports that nobody else is given, those of HTTP and gRPC for each part."""
    return [(free_port(), free_port()) for _ in PARTS]


def objects_command(
    folder: Path,
    ports: Sequence[tuple[int, int]],
    access_key: str,
    secret_key: str,
    settings: Mapping[str, object] | None = None,
) -> list[str]:
    """Return the command that serves a folder's objects on loopback to whoever has these keys.

    Writes `settings` and the keys into the folder, which must be there.
    """
    identity = {
        "name": access_key,
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity], **(settings or {})}), encoding="utf-8")
    program = shutil.which(PROGRAM, path=str(Path(sys.executable).parent)) or PROGRAM
    command = [program, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}"]
    command += ["-webdav=false", "-admin.ui=false"]
    # Each would take its usual port or the next: two stores that look in one second take the same, and one ends.
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    for part, (http, grpc) in zip(PARTS, ports, strict=True):
        command += [f"-{part}.port={http}", f"-{part}.port.grpc={grpc}"]
    return command
