"""What the guard forbids is judged at the socket: Python's audit events tell every address that is connected to."""

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import gevent
import pytest
from gevent.server import StreamServer

from services.shared.outbound.address import AddressGuard
from services.shared.outbound.connection import Answer, OutboundConnection
from services.shared.outbound.dial import Limits, Names, Outside
from services.shared.outbound.target import BadUrl, target_of
from services.shared.testing.patience import Stopwatch
from tests.integration.outbound.name_server import NameServer

_watching: list[list[str]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        for seen in _watching:
            seen.append(arguments[1][0])


sys.addaudithook(_note)

# Written from IANA's special-purpose registries and from what clouds and clusters use, not from the guard's own list.
V4 = [
    *("0.0.0.0", "0.0.0.1", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.43.0.1", "10.96.0.1", "10.255.255.255"),
    *("100.64.0.0", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.0.0.2", "127.0.1.1"),
    *("127.1.1.1", "127.255.255.255", "168.63.129.16", "169.254.0.1", "169.254.169.123", "169.254.169.253"),
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.255.255", "172.16.0.1", "172.17.0.1"),
    *("172.20.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.2.1"),
    *("192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.1.1", "192.168.255.255"),
    *("192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "224.0.0.251"),
    *("239.255.255.250", "240.0.0.1", "254.255.255.255", "255.255.255.255"),
]
V6 = [
    *("::", "::1", "::2", "::127.0.0.1", "::10.0.0.1", "::169.254.169.254", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:7f00:1", "0:0:0:0:0:ffff:7f00:0001", "::ffff:192.168.0.1"),
    *("::ffff:0.0.0.0", "::ffff:172.16.0.1", "::ffff:100.100.100.200", "::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b::192.168.1.1"),
    *("64:ff9b:1::1", "64:ff9b:1::10.0.0.1", "64:ff9b:1:ffff::a9fe:a9fe", "100::1", "100:0:0:1::1", "2001::1"),
    *("2001:0:7f00:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::1"),
    *("2002:a9fe:a9fe::1", "2002:c0a8:101::1", "2620:4f:8000::1", "3fff::1", "3ffe::1", "4000::1", "5f00::1"),
    *("fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fdff::1", "fe80::1", "fe80::a9fe:a9fe", "febf::1"),
    *("fec0::1", "ff01::1", "ff02::1", "ff02::fb", "ff05::2", "ff0e::1", "2606:4700::5efe:127.0.0.1"),
    *("2606:4700::200:5efe:10.0.0.1", "2a00:1450::5efe:a9fe:a9fe"),
]


def disguises(text: str) -> list[str]:
    """Return what an IPv4 address is called by every way to write, carry or translate it in IPv6."""
    number = int(IPv4Address(text))
    teredo = 0x20010000_41379E8C_0000F227_00000000 | (number ^ 0xFFFFFFFF)  # RFC 4380: the client's address, inverted
    site = 0x0064FF9B_00010000_00000000_00000000
    return [
        str(IPv6Address(form))
        for form in (
            number,  # compatible, RFC 4291
            0xFFFF_00000000 | number,  # mapped
            0xFFFF_0000_00000000 | number,  # translated, RFC 7915
            0x0064FF9B << 96 | number,  # NAT64, RFC 6052
            site | number,  # NAT64 of one's own, RFC 8215, by a prefix of 96 bits
            site | (number >> 16) << 64 | (number & 0xFFFF) << 40,  # and of 48 bits
            0x2002 << 112 | number << 80 | 1,  # 6to4, RFC 3056
            0x20010000 << 96 | number << 64 | 1,  # Teredo: the server
            teredo,
            0xFE80 << 112 | 0x5EFE << 32 | number,  # ISATAP, RFC 5214
            0x2606_4700 << 96 | 0x0200_5EFE << 32 | number,
        )
    ]


DISGUISED = [
    form
    for text in ("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0")
    for form in disguises(text)
]
TRICKS = [
    # An address in other clothes.
    *("http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://017700000001/", "http://0177.0.0.1/"),
    *("http://127.1/", "http://127.0.1/", "http://127.0.0.1./", "http://0/", "http://0x0/", "http://00000/"),
    *("http://2852039166/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://169.254.43518/"),
    *("http://0xa9.0xfe.0xa9.0xfe/", "http://169.16689662/", "http://0300.0250.0.1/", "http://3232235777/"),
    *("http://127.0.0.01/", "http://127.000.000.001/", "http://4294967296/", "http://18446744071562067969/"),
    # Signs that become dots and digits, or seem to.
    *(
        "http://127。0。0。1/",
        "http://127．0．0．1/",
        "http://127｡0｡0｡1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://１２７.０.０.１/",
    ),
    *("http://169。254。169。254/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://ｌｏｃａｌｈｏｓｔ/", "http://LOCALHOST/"),
    *("http://127%2e0%2e0%2e1/", "http://%31%32%37.0.0.1/", "http://loc%61lhost/", "http://lo\u00adcalhost/"),
    *("http://127.0.0.1\u200b/", "http://127.0.0.1%00.example/", "http://127.0.0.1\u3002/"),
    # A user, a port, a scheme or a backslash that moves the host.
    *("http://crm.example@127.0.0.1/", "http://crm.example:80@127.0.0.1/", "http://127.0.0.1@crm.example/"),
    *("http://crm.example\\@127.0.0.1/", "http://127.0.0.1\\.crm.example/", "http://crm.example#@127.0.0.1/"),
    *("http://crm.example?@127.0.0.1/", "http:127.0.0.1/", "http:/127.0.0.1/", "http:///127.0.0.1/", "//127.0.0.1/"),
    *("http://127.0.0.1:80:80/", "http://127.0.0.1:0x50/", "http://127.0.0.1:-1/", "gopher://127.0.0.1/"),
    *(
        "file:///etc/passwd",
        "dict://127.0.0.1:11211/",
        "ftp://127.0.0.1/",
        "ldap://127.0.0.1/",
        "jar:http://127.0.0.1/",
    ),
    *("unix:///var/run/docker.sock", "http+unix://%2fvar%2frun%2fdocker.sock/", "data:text/plain,x"),
    # IPv6 in brackets, with zones, without them.
    *(
        "http://[::]/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::127.0.0.1]/",
    ),
    *("http://[::ffff:7f00:1]/", "http://[fe80::1%25lo]/", "http://[::1%25lo]/", "http://[::1%lo]/", "http://::1/"),
    *("http://[64:ff9b::127.0.0.1]/", "http://[2002:7f00:1::]/", "http://[fd00:ec2::254]/", "http://[v1.127.0.0.1]/"),
    *("http://[::ffff:0x7f000001]/", "http://[127.0.0.1]/", "http://[::1].crm.example/"),
    # Line ends and spaces.
    *("http://127.0.0.1\r\n/", "http://crm.example\r\nHost: 127.0.0.1/", "http://\t127.0.0.1/", " http://127.0.0.1/"),
    *("http://127.0.0.1 .crm.example/", "http://crm.example\x00.127.0.0.1/"),
    # The system's own names.
    *("http://localhost/", "http://localhost./", "http://localhost.localdomain/", "http://ip6-localhost/"),
    *("http://ip6-loopback/", "http://metadata/", "http://kubernetes/", "http://kubernetes.default.svc/"),
    # Names that lie: forbidden.example has all forbidden addresses, any other name has one of them.
    *("http://forbidden.example/", "http://metadata.google.internal/", "http://127.0.0.1.nip.example/"),
    *("http://10-0-0-1.example/", "http://xn--forbidden.example/", "http://forbidden.example./", "http://a_b.example/"),
]
PUBLIC = "8.8.8.8"


def lie(name: str, _times: int) -> list[str]:
    return [*V4, *V6] if name == "forbidden.example" else ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"]


@pytest.fixture
def connected() -> Iterator[list[str]]:
    """Give the addresses that this process connects to."""
    seen: list[str] = []
    _watching.append(seen)
    yield seen
    _watching.remove(seen)


@pytest.fixture(scope="module")
def liar() -> Iterator[NameServer]:
    server = NameServer(lie)
    server.start()
    yield server
    server.stop()


def names_of(server: NameServer, timeout: float = 1.0) -> Names:
    return Names(servers=["127.0.0.1"], udp_port=server.server_port, timeout=timeout, tries=1)


def ask(url: str, outside: Outside) -> Answer | BadUrl:
    connection = OutboundConnection(outside)
    try:
        return connection.request("POST", target_of(url), "Content-Length: 0\r\n", b"")
    except BadUrl as refused:
        return refused
    finally:
        connection.close()


QUICK = Limits(connect_seconds=0.05, total_seconds=0.6)
URLS = [
    *(f"http://{address}:9/" for address in V4),
    *(f"https://{address}/" for address in V4[::4]),
    *(f"http://[{address}]:9/" for address in [*V6, *DISGUISED]),
    *TRICKS,
]


@pytest.mark.parametrize("url", URLS)
def test_nothing_forbidden_is_connected_to(url: str, liar: NameServer, connected: list[str]) -> None:
    found = ask(url, Outside(AddressGuard(), QUICK, resolve=names_of(liar)))
    assert isinstance(found, BadUrl) or found.status == 0
    assert connected == []


@pytest.mark.parametrize("url", TRICKS)
def test_the_systems_own_resolver_leads_nowhere_forbidden_either(url: str, connected: list[str]) -> None:
    found = ask(url, Outside(AddressGuard(), QUICK))
    assert isinstance(found, BadUrl) or found.status == 0
    assert connected == []


def test_the_watch_sees_what_is_connected_to(connected: list[str]) -> None:
    found = ask("http://127.0.0.1:9/", Outside(AddressGuard.parse("127.0.0.1/32"), QUICK))
    assert isinstance(found, Answer)
    assert set(connected) == {"127.0.0.1"}


def test_of_a_names_addresses_only_the_permitted_are_tried(connected: list[str]) -> None:
    server = NameServer(lambda _name, _times: ["10.0.0.1", PUBLIC, "127.0.0.1", "::1"])
    server.start()
    ask("http://crm.example:9/", Outside(AddressGuard(), QUICK, resolve=names_of(server)))
    server.stop()
    assert set(connected) == {PUBLIC}


def test_a_name_that_changes_between_looks_is_judged_by_what_is_connected_to(connected: list[str]) -> None:
    """DNS rebinding: a public address for the check, a private one for the connection, and so on in turns."""
    server = NameServer(lambda _name, times: [PUBLIC] if times % 2 == 0 else ["127.0.0.1"])
    server.start()
    names = Names(servers=["127.0.0.1"], udp_port=server.server_port, timeout=1.0, tries=1)
    for _ in range(6):
        ask("http://rebinding.example:9/", Outside(AddressGuard(), QUICK, resolve=names))
    server.stop()
    assert set(connected) <= {PUBLIC}


LOCATIONS = (
    "http://169.254.169.254/latest/",
    "http://[::ffff:10.0.0.1]/",
    "//127.0.0.1:9/",
    "/elsewhere",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "http://crm.example@127.0.0.2/",
)


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_nothing_more(status: int, location: str, connected: list[str]) -> None:
    answer = (
        f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nRefresh: 0;url={location}\r\nContent-Length: 0\r\n\r\n"
    )
    asked: list[bytes] = []

    def serve(far: Any, _address: object) -> None:
        asked.append(far.recv(9999))
        far.sendall(answer.encode())

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    guard = AddressGuard.parse("127.0.0.1/32")
    found = ask(f"http://127.0.0.1:{server.server_port}/", Outside(guard, QUICK))
    server.stop()
    assert isinstance(found, Answer)
    assert found.status == status
    assert set(connected) == {"127.0.0.1"}
    assert len(asked) == 1


def test_networks_of_the_platform_itself_are_forbidden_though_public(connected: list[str]) -> None:
    guard = AddressGuard.parse("8.8.8.8/32", "8.8.8.0/24, 2a00:1450::/32")
    for url in (
        "http://8.8.8.8:9/",
        "http://[2a00:1450::7]:9/",
        "http://[::ffff:8.8.8.8]:9/",
        "http://[64:ff9b::808:808]:9/",
    ):
        ask(url, Outside(guard, QUICK))
    assert connected == []


def test_dead_name_servers_of_some_hold_up_nobody_else(liar: NameServer) -> None:
    """Thirty names whose servers say nothing, more than a pool of resolving threads would have."""
    names = names_of(liar, timeout=1.0)
    silent = Outside(AddressGuard(), Limits(0.05, 5.0), resolve=names)
    quick = Outside(AddressGuard(), Limits(0.05, 0.5), resolve=names)
    hanging = [gevent.spawn(ask, f"http://silent{number}.example/", silent) for number in range(30)]
    gevent.sleep(0)
    watch = Stopwatch()
    found = ask("http://other.example/", quick)
    assert watch.seconds() < 0.4
    assert isinstance(found, Answer)
    assert found.error == "the host has no address that may be connected to"
    gevent.killall(hanging)
