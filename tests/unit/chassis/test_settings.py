from dataclasses import dataclass
from pathlib import Path

import pytest

from services.shared.chassis.settings import SettingsError, read_settings


@dataclass(frozen=True)
class Example:
    http_port: int
    folder: Path = Path("/data")
    is_open: bool = False
    limit: float | None = None


def test_fields_are_read_from_their_variables() -> None:
    environ = {"RINGMASTER_HTTP_PORT": "8080", "RINGMASTER_FOLDER": "/x", "RINGMASTER_IS_OPEN": "yes"}
    assert read_settings(Example, environ) == Example(8080, Path("/x"), is_open=True)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(Example, {"RINGMASTER_IS_OPEN": "perhaps", "RINGMASTER_LIMIT": "much"})
    assert error.value.faults == [
        "RINGMASTER_HTTP_PORT is not set",
        "RINGMASTER_IS_OPEN must be true or false",
        "RINGMASTER_LIMIT must be a number",
    ]
