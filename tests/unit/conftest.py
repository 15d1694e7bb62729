import pytest
from pytest_socket import disable_socket


@pytest.fixture(autouse=True)
def _no_sockets() -> None:
    """Refuse sockets: a unit test opens none. Unix sockets stay, gevent's hub wakes itself through one."""
    disable_socket(allow_unix_socket=True)
