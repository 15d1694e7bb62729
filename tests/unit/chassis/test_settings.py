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
        "RINGMASTER_IS_OPEN must be true or false, not 'perhaps'",
        "RINGMASTER_LIMIT must be a number, not 'much'",
    ]


@pytest.mark.parametrize("port", ["-1", "65536", "eighty", "8.5", "inf"])
def test_what_is_no_port_is_refused_before_anything_listens(port: str) -> None:
    with pytest.raises(SettingsError, match="RINGMASTER_HTTP_PORT must be a"):
        read_settings(Example, {"RINGMASTER_HTTP_PORT": port})


@pytest.mark.parametrize("limit", ["nan", "inf", "-inf"])
def test_a_number_without_an_end_is_refused(limit: str) -> None:
    with pytest.raises(SettingsError, match="RINGMASTER_LIMIT"):
        read_settings(Example, {"RINGMASTER_HTTP_PORT": "1", "RINGMASTER_LIMIT": limit})
