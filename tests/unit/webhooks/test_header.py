import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.header import BadHeader, header_lines


def test_headers_become_lines() -> None:
    assert header_lines((("X-Key", "a b"), ("x-2", "ü".encode().hex()))) == "X-Key: a b\r\nx-2: c3bc\r\n"
    assert header_lines(()) == ""


@pytest.mark.parametrize("name", ["Host", "content-LENGTH", "Webhook-Id", "webhook-signature", "Transfer-Encoding"])
def test_what_the_platform_says_itself_no_tenant_says(name: str) -> None:
    with pytest.raises(BadHeader):
        header_lines(((name, "x"),))


@given(st.text(), st.text())
def test_no_header_becomes_two(name: str, value: str) -> None:
    try:
        lines = header_lines(((name, value),))
    except BadHeader:
        return
    assert lines.isascii()
    assert lines.count("\r") == lines.count("\n") == 1
    assert lines.endswith("\r\n")
    assert "\0" not in lines
