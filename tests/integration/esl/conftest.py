from collections.abc import Iterator

import pytest

from tests.integration.esl.scripted_switch import ScriptedSwitch


@pytest.fixture
def switch() -> Iterator[ScriptedSwitch]:
    """Start a switch that behaves, listening on loopback."""
    scripted = ScriptedSwitch()
    yield scripted
    scripted.close()
