"""What is in an image, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): Debian's packages and Python's."""

import re
from pathlib import Path
from typing import Any, Final

_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def sbom(service: str, version: str, requirements: str, dpkg_status: str) -> dict[str, Any]:
    """Return the document of one image. `dpkg_status` is /var/lib/dpkg/status of its base."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": f"ringmaster/{service}", "version": version}},
        "components": [*_wheels(requirements), *_debs(dpkg_status)],
    }


def _wheels(requirements: str) -> list[dict[str, Any]]:
    return [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name.lower()}@{version}"}
        for name, version in (match.groups() for match in map(_PINNED.match, requirements.splitlines()) if match)
    ]


def _debs(status: str) -> list[dict[str, Any]]:
    found = []
    for block in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if re.match(r"[A-Z][A-Za-z-]*: ", line))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}"
            found.append({"type": "library", "name": name, "version": version, "purl": purl})
    return found


def hashes_of(requirements: str) -> set[str]:
    """Return every hash that a requirements file allows."""
    return set(_HASH.findall(requirements))


def read_status(root: Path) -> str:
    """Return the packages of a base, none where it is no Debian."""
    path = root / "var" / "lib" / "dpkg" / "status"
    return path.read_text(encoding="utf-8") if path.exists() else ""
