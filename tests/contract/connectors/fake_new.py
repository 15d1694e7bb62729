"""The interface that the template of `ringmaster connector new` is written for: what the command makes must work."""

from dataclasses import dataclass, field
from typing import Any

from tests.contract.connectors.fake import Answer, Fake, Request, digits, need


@dataclass
class NewCrm(Fake):
    kept: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"contacts": [], "calls": [], "tasks": []})

    TOKEN_PATH = "/oauth/token"
    OVER_LIMIT = (403, {"error": {"code": "daily_limit"}}, 3600.0)

    def handle(self, request: Request) -> Answer:
        kind, *rest = request.path.removeprefix("/api/").split("/")
        kept = self.kept[kind]
        if request.method == "GET":
            found = [one for one in kept if self._is_asked(one, request.query)]
            return (200, {"items": found}) if found else (204, {})
        if request.method == "PATCH":
            [one] = [one for one in kept if one["id"] == int(rest[0])]
            one |= request.body
            return 200, one
        need(
            all(one.get("external_id", "-") != request.body.get("external_id") for one in kept), "external_id is there"
        )
        kept.append(request.body | {"id": len(kept) + 1})
        return 201, kept[-1]

    @staticmethod
    def _is_asked(one: dict[str, Any], query: dict[str, str]) -> bool:
        if "phone" in query:
            return digits(one["phone"])[-9:] == query["phone"][-9:]
        return bool(one["external_id"] == query["external_id"])

    def know(self, written: str, owner: str) -> None:
        self.kept["contacts"].append({"id": 1, "name": "Відома", "phone": written, "owner": owner})

    def contacts(self) -> list[str]:
        return [one["phone"] for one in self.kept["contacts"]]

    def calls(self) -> list[tuple[str, str, int]]:
        return [(str(one["contact"]), one.get("recording", ""), one["seconds"]) for one in self.kept["calls"]]

    def tasks(self) -> list[str]:
        return [str(one["contact"]) for one in self.kept["tasks"]]

    def told(self) -> list[str]:
        return [one["text"] for one in self.kept["tasks"]]
