"""A true mail server in a process of its own: `mail_server.py PORT FILE REFUSALS` appends each mail to the file."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP


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


async def main(port: int, path: Path, refusals: int) -> None:
    keeper = Keeper(path, refusals)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(keeper), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
