import os
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

# How often the file is made safe against a power cut, in receipts: it is read only by people and by the balance.
SYNC_EVERY = 200


class Ledger:
    """What was received, kept in an append-only file of JSON lines, so that a restart does not forget."""

    def __init__(self, path: Path) -> None:
        self.received = 0
        self.invalid = 0
        self._ids: set[tuple[str, str]] = set()
        self._by_type: Counter[str] = Counter()
        self._by_tenant: Counter[str] = Counter()
        self._calls_ended: set[tuple[str, str]] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._read(path)
        self._file = path.open("ab", buffering=0)

    def accept(self, webhook_id: str, payload: dict[str, Any]) -> None:
        """Note a delivery whose signature was right."""
        data = payload.get("data") or {}
        receipt = {
            "id": webhook_id,
            "type": str(payload.get("type", "")),
            "tenant": str(data.get("tenant_id", "")),
            "call": str(data.get("call_id", "")),
        }
        self._file.write(orjson.dumps(receipt) + b"\n")
        self._count(receipt)
        if self.received % SYNC_EVERY == 0:
            os.fsync(self._file.fileno())

    def refuse(self) -> None:
        """Note a request whose signature was wrong."""
        self.invalid += 1

    def summary(self) -> dict[str, Any]:
        """Return the totals; the counts by type and tenant are of distinct deliveries."""
        return {
            "received": self.received,
            "distinct": len(self._ids),
            "invalid": self.invalid,
            "by_type": dict(self._by_type),
            "by_tenant": dict(self._by_tenant),
            "calls_ended": len(self._calls_ended),
        }

    def close(self) -> None:
        """Make everything safe and close the file."""
        os.fsync(self._file.fileno())
        self._file.close()

    def _count(self, receipt: dict[str, str]) -> None:
        self.received += 1
        name = (receipt["tenant"], receipt["id"])
        if name in self._ids:
            return
        self._ids.add(name)
        self._by_type[receipt["type"]] += 1
        self._by_tenant[receipt["tenant"]] += 1
        if receipt["type"] == "call.ended":
            self._calls_ended.add((receipt["tenant"], receipt["call"]))

    def _read(self, path: Path) -> None:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    self._count(orjson.loads(line))
                except (orjson.JSONDecodeError, KeyError):
                    # A kill can tear the last line; its sender got no answer and sends it again.
                    continue
