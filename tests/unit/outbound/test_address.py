import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.outbound.address import AddressGuard, BadNetwork

FORBIDDEN = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.8.9.1"),
    *("169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.170", "192.0.2.1", "192.88.99.1"),
    *("192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.7", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b::10.0.0.1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:c0a8:101::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "3fff::1", "5f00::1"),
    *("2606:4700:0:0:0:5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1", "::ffff:0:127.0.0.1"),
    *("", "localhost", "127.1", "0x7f000001", "2130706433", "1.2.3.4.5"),
]
PERMITTED = [
    *(
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.167.1.1",
        "223.255.255.1",
    ),
    *("2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not AddressGuard().permits(address)


@pytest.mark.parametrize("address", PERMITTED)
def test_a_public_address_is_permitted(address: str) -> None:
    assert AddressGuard().permits(address)


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_judged_the_same_in_every_ipv6_disguise(number: int) -> None:
    plain = socket.inet_ntoa(number.to_bytes(4, "big"))
    verdict = AddressGuard().permits(plain)
    assert AddressGuard().permits(f"::ffff:{plain}") == verdict
    assert AddressGuard().permits(f"64:ff9b::{plain}") == verdict


def test_an_allowed_network_is_an_exception_and_no_more() -> None:
    guard = AddressGuard.parse("127.0.0.1/32, ::1/128")
    assert guard.permits("127.0.0.1")
    assert guard.permits("::1")
    assert guard.permits("::ffff:127.0.0.1")
    assert not guard.permits("127.0.0.2")


def test_a_network_that_cannot_be_read_is_refused_at_start() -> None:
    with pytest.raises(BadNetwork):
        AddressGuard.parse("127.0.0.1/33")
    with pytest.raises(BadNetwork):
        AddressGuard.parse("localhost")


def test_what_is_the_platforms_own_is_reached_by_nobody_though_it_is_public_or_allowed() -> None:
    guard = AddressGuard.parse("8.8.8.8/32,127.0.0.1/32", "8.8.8.0/24, 2001:4860::/32")
    for address in ("8.8.8.8", "8.8.8.9", "::ffff:8.8.8.9", "64:ff9b::8.8.8.9", "2001:4860::1"):
        assert not guard.permits(address)
    for address in ("8.8.4.4", "127.0.0.1", "2606:4700::1"):
        assert guard.permits(address)
