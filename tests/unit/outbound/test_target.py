import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.outbound.target import BadUrl, Target, target_of


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (
            "https://crm.example/hook",
            Target(is_tls=True, host="crm.example", port=443, host_header="crm.example", path="/hook"),
        ),
        (
            "http://crm.example:8080",
            Target(is_tls=False, host="crm.example", port=8080, host_header="crm.example:8080", path="/"),
        ),
        (
            "https://crm.example:443/a?b=c&d=%20",
            Target(is_tls=True, host="crm.example", port=443, host_header="crm.example", path="/a?b=c&d=%20"),
        ),
        ("http://[::1]:9/x#frag", Target(is_tls=False, host="::1", port=9, host_header="[::1]:9", path="/x")),
        (
            "https://київ.example/гак?я=1",
            Target(is_tls=True, host="xn--90a5ai4a.example", port=443, host_header="xn--90a5ai4a.example", path=""),
        ),
    ],
)
def test_a_url_is_taken_apart(url: str, target: Target) -> None:
    found = target_of(url)
    assert (found.is_tls, found.port) == (target.is_tls, target.port)
    if target.path:
        assert found == target
    else:
        assert found.host.startswith("xn--")
        assert found.path == "/%D0%B3%D0%B0%D0%BA?%D1%8F=1"


@pytest.mark.parametrize(
    "url",
    [
        *("", "crm.example", "ftp://crm.example/", "file:///etc/passwd", "http://", "http:///x", "gopher://x/"),
        *("http://a b/", "http://a/\r\nHost: b", "http://a/\tb", "http://a/\x00", "http://user:pw@a/", "http://u@a/"),
        *("http://a:0/", "http://a:99999/", "http://a:x/", "http://[fe80::1%25eth0]/", "http://" + "a" * 3000),
        *(
            "http://[::1/",
            "http://¨/",
            "http://a%0d/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://a.0x1/",
            "http://a\\@b/",
            "http://a..b/",
            "http://" + "é" * 64 + "/",
        ),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        target_of(url)


@given(st.text(), st.text(), st.text())
def test_no_url_adds_a_line_or_a_space_to_a_request(host: str, path: str, query: str) -> None:
    try:
        target = target_of(f"http://{host}/{path}?{query}")
    except BadUrl:
        return
    for part in (target.path, target.host_header, target.host):
        assert part.isascii()
        assert all(0x21 <= ord(sign) < 0x7F for sign in part)
