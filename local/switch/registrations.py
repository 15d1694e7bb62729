"""Which phones are registered, and the sofia::register and sofia::unregister events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from local.switch.clock import MICROSECONDS
from local.switch.encoding import header

if TYPE_CHECKING:
    from local.switch.core import Switch

EXPIRY_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Registration:
    """One row of the switch's table of registrations. `expires` is an epoch second."""

    user: str
    realm: str
    token: str
    url: str
    expires: int
    network_port: int

    def as_row(self, hostname: str) -> dict[str, str]:
        """Return the row as `show registrations as json` prints it."""
        return {
            "reg_user": self.user,
            "realm": self.realm,
            "token": self.token,
            "url": self.url,
            "expires": str(self.expires),
            "network_ip": "127.0.0.1",
            "network_port": str(self.network_port),
            "network_proto": "udp",
            "hostname": hostname,
            "metadata": "",
        }


class Registrations:
    """The table, by user and realm."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._rows: dict[tuple[str, str], Registration] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[Registration]:
        """Return all registrations."""
        return list(self._rows.values())

    def find(self, user: str, realm: str) -> Registration | None:
        """Return a user's registration."""
        return self._rows.get((user, realm))

    def add(self, user: str, realm: str, port: int) -> None:
        """Register a phone, or refresh it, and say so."""
        now = self._switch.scheduler.clock.now_us() // MICROSECONDS
        token = f"{crc32(f'{user}@{realm}'.encode()):08x}@phone{port}"
        url = f"sofia/internal/sip:{user}@127.0.0.1:{port}"
        row = Registration(user, realm, token, url, now + EXPIRY_SECONDS, port)
        self._rows[(user, realm)] = row
        self._announce("sofia::register", row)

    def remove(self, user: str, realm: str) -> None:
        """Unregister a phone and say so; harmless when it isn't registered."""
        row = self._rows.pop((user, realm), None)
        if row is not None:
            self._announce("sofia::unregister", row)

    def clear(self) -> None:
        """Forget everything without a word, as a dying switch does."""
        self._rows.clear()

    def _announce(self, subclass: str, row: Registration) -> None:
        contact = f'"{row.user}" <sip:{row.user}@127.0.0.1:{row.network_port}>'
        values = [
            ("profile-name", "internal"),
            ("from-user", row.user),
            ("from-host", row.realm),
            ("presence-hosts", row.realm),
            ("contact", contact),
            ("call-id", row.token),
            ("rpid", "unknown"),
            ("status", "Registered(UDP)"),
            ("ping-status", "Reachable"),
            ("expires", str(EXPIRY_SECONDS)),
            ("to-user", row.user),
            ("to-host", row.realm),
            ("network-ip", "127.0.0.1"),
            ("network-port", str(row.network_port)),
            ("username", row.user),
            ("realm", row.realm),
            ("user-agent", "simulated-phone/1"),
        ]
        lines = "".join(header(name, value) for name, value in values)
        self._switch.bus.emit("CUSTOM", lines, origin="CUSTOM register", subclass=subclass)
