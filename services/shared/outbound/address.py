"""Which addresses a tenant's URL may lead to: only those of the public internet (SSRF guard, SPEC 7.3)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose registries, written out: what ipaddress calls global has changed between Python versions.
_FORBIDDEN_V4 = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Metadata of Alibaba, Oracle and Azure: outside or beside the private ranges.
        *("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),
    )
)
# Outside 2000::/3 nothing is public; inside it these are not, or lead to IPv4 by ways that we can't follow.
_PUBLIC_V6 = IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(
    IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "3ffe::/16")
)
# A NAT64 gateway turns these into the IPv4 address in their last 32 bits (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


class BadNetwork(ValueError):
    """A list of networks in the settings can't be read. Caught at start."""


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Says whether an address may be connected to.

    `allowed` are exceptions of a local stack; `own` are networks of the platform that lie in public ranges, such as a
    cluster's nodes. What is both is forbidden.
    """

    allowed: tuple[Network, ...] = ()
    own: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, allowed: str, own: str = "") -> "AddressGuard":
        """Read "127.0.0.1/32,::1/128" twice; raise BadNetwork."""
        return cls(_networks(allowed), _networks(own))

    def permits(self, text: str) -> bool:
        """Whether this numeric address is public or allowed; False for what is no address."""
        try:
            address = _without_disguise(ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        if any(address in network for network in self.own):
            return False
        if any(address in network for network in self.allowed):
            return True
        return _is_public(address)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise BadNetwork(f"networks must be in CIDR form with commas between: {error}") from error


def _without_disguise(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _FORBIDDEN_V4)
    if address not in _PUBLIC_V6 or any(address in network for network in _FORBIDDEN_V6):
        return False
    return (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP
