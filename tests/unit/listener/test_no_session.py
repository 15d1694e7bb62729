"""What the listener says when it has no session with FreeSWITCH."""

import pytest
from structlog.testing import capture_logs

from services.listener.adapters import pump
from services.shared.esl.client import Disconnected
from services.shared.esl.errors import ConnectFailed, ConnectionEnded, Stopped, WrongPassword


def _said(error: ConnectionEnded) -> dict[str, object]:
    with capture_logs() as lines:
        pump._say(Disconnected(error, was_connected=False, retry_in_seconds=0.2534, at=1.0))
    (line,) = lines
    return dict(line)


def test_a_refused_password_says_which_setting_helps() -> None:
    said = _said(WrongPassword("FreeSWITCH at 10.0.0.1:8021 refused the event-socket password"))
    assert said["log_level"] == "error"
    assert "RINGMASTER_ESL_PASSWORD" in str(said["advice"])
    assert said["retry_in_seconds"] == 0.25


@pytest.mark.parametrize(
    ("error", "level", "is_retried"),
    [(ConnectFailed("nobody listens"), "error", True), (Stopped("the client was stopped"), "info", False)],
)
def test_a_stop_is_no_error_and_an_absence_is_one_that_is_tried_again(
    error: ConnectionEnded, level: str, *, is_retried: bool
) -> None:
    said = _said(error)
    assert (said["log_level"], said["reason"], "retry_in_seconds" in said) == (level, str(error), is_retried)
    assert "advice" not in said
