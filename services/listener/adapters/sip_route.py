"""Where a SIP address outside really leads: the host is resolved here, judged, and FreeSWITCH told the very address.

Else a tenant could have the switch call into the network that it stands in, by a name as well as by a number (SPEC
10.4), and a name server that answers something else a moment later would undo any check made before.
"""

from collections.abc import Callable
from typing import Any

import gevent

from services.shared.destinations import is_sip_address
from services.shared.esl.errors import UnsafeValue
from services.shared.outbound.address import AddressGuard

PROFILE = "external"
DEFAULT_PORT = 5060
RESOLVE_SECONDS = 5.0
_V6 = ":"
"""What only an IPv6 address holds: the switch's profiles stand on IPv4, and a dial string gives brackets a meaning."""


class SipRoute:
    """Turns user@host:port into what originate dials."""

    def __init__(self, guard: AddressGuard, resolve: Callable[[str, int], list[tuple[int, Any]]]) -> None:
        self._guard = guard
        self._resolve = resolve

    def endpoint(self, sip: str) -> str:
        """Return the dial string of an address. Raises UnsafeValue where it may not be called, or nobody knows it."""
        if not is_sip_address(sip):
            raise UnsafeValue("a SIP address is user@host or user@host:port")
        host, _, port = sip.rpartition("@")[2].partition(":")
        number = int(port) if port.isdecimal() else DEFAULT_PORT
        found = [address for address in self._addresses(host, number) if _V6 not in address]
        address = next(filter(self._guard.permits, found), None)
        if address is None:
            raise UnsafeValue(f"{host} has no IPv4 address that may be called by SIP")
        return f"sofia/{PROFILE}/{sip};fs_path=sip:{address}:{number}"

    def _addresses(self, host: str, port: int) -> list[str]:
        found: list[tuple[int, Any]] = []
        try:
            with gevent.Timeout(RESOLVE_SECONDS, exception=False):
                found = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise UnsafeValue(f"the name {host} can't be resolved") from error
        return [str(address[0]) for _, address in found]
