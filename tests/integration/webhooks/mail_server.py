"""A true mail server in a process of its own: `mail_server.py PORT FILE REFUSALS` appends each mail to the file.

With `CERTIFICATE starttls` or `CERTIFICATE tls` it takes mail over TLS alone, and only from acme with the password pw.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Keeper:
    """Refuses for a while, then keeps what comes."""

    def __init__(self, path: Path, refusals: int) -> None:
        self._path = path
        self._refusals = refusals

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self._refusals:
            self._refusals -= 1
            return "451 come again"
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "mail": envelope.content.decode("ascii")}
        with self._path.open("a") as file:
            file.write(json.dumps(mail) + "\n")
        return "250 OK"


def is_acme(_server: Any, _session: Any, _envelope: Any, _mechanism: str, told: LoginPassword) -> AuthResult:
    return AuthResult(success=(told.login, told.password) == (b"acme", b"pw"), handled=False)


async def main(port: int, path: Path, refusals: int, certificate: str = "", security: str = "") -> None:
    keeper, tls, wishes = Keeper(path, refusals), None, dict[str, Any]()
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        wishes = {"authenticator": is_acme, "auth_required": True}
        own = {"tls_context": tls, "require_starttls": True} if security == "starttls" else {"auth_require_tls": False}
        wishes |= own
    outer = tls if security == "tls" else None
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(keeper, **wishes), "127.0.0.1", port, ssl=outer
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
