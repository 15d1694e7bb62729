"""Kommo's contacts, notes and tasks: https://www.kommo.com/developers/content/api_v4/contacts-4/ (204 without a
match), .../api_v4/events-and-notes/ (notes of one contact or of all; call_in and call_out with params uniq, duration,
source, link, phone; common with params text),
.../api_v4/tasks-api/ and .../oauth/step-by-step/ (a refresh token is good for one use).
"""

from dataclasses import dataclass, field
from typing import Any

from tests.contract.connectors.fake import Answer, Fake, Request, digits, need


@dataclass
class Kommo(Fake):
    rotates: bool = True
    people: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    todo: list[dict[str, Any]] = field(default_factory=list)

    TOKEN_PATH = "/oauth2/access_token"
    OVER_LIMIT = (429, {"title": "Too Many Requests", "status": 429}, 5.0)

    def handle(self, request: Request) -> Answer:
        parts = request.path.removeprefix("/api/v4/").split("/")
        if parts == ["contacts"]:
            return self._contacts(request)
        if parts == ["contacts", "notes"]:
            need(request.method == "GET", "notes are made for one contact")
            return self._listed(request, self.notes)
        if parts[0] == "contacts" and parts[2] == "notes":
            return self._notes(int(parts[1]), request)
        need(parts == ["tasks"], "path")
        if request.method == "GET":
            return self._list(
                "tasks", [one for one in self.todo if str(one["entity_id"]) == request.query["filter[entity_id]"]]
            )
        [task] = request.body
        need({"text", "complete_till"} <= set(task) and isinstance(task["complete_till"], int), "task")
        return self._add("tasks", self.todo, task)

    def _contacts(self, request: Request) -> Answer:
        if request.method == "GET":
            found = [one for one in self.people if request.query["query"] in digits(self._phone(one))]
            return self._list("contacts", found[: int(request.query["limit"])])
        [one] = request.body
        need(one["custom_fields_values"][0]["field_code"] == "PHONE", "field_code")
        return self._add("contacts", self.people, one)

    def _notes(self, contact: int, request: Request) -> Answer:
        need(any(one["id"] == contact for one in self.people), "no such contact")
        if request.method == "GET":
            return self._listed(request, [one for one in self.notes if one["entity_id"] == contact])
        [note] = request.body
        need(note["note_type"] in {"call_in", "call_out", "common"}, "note_type")
        if note["note_type"] == "common":
            need(set(note["params"]) == {"text"} and note["params"]["text"], "text")
            return self._add("notes", self.notes, note | {"entity_id": contact})
        need({"uniq", "duration", "source", "phone"} <= set(note["params"]), "params")
        need(isinstance(note["params"]["duration"], int), "duration")
        return self._add("notes", self.notes, note | {"entity_id": contact})

    def _listed(self, request: Request, notes: list[dict[str, Any]]) -> Answer:
        kinds = request.queries["filter[note_type][]"]
        need(1 <= int(request.query["limit"]) <= 250, "limit")
        found = [one for one in notes if one["note_type"] in kinds][::-1]
        return self._list("notes", found[: int(request.query["limit"])])

    @staticmethod
    def _phone(one: dict[str, Any]) -> str:
        return str(one["custom_fields_values"][0]["values"][0]["value"])

    @staticmethod
    def _list(name: str, found: list[dict[str, Any]]) -> Answer:
        return (200, {"_embedded": {name: found}}) if found else (204, {})

    @staticmethod
    def _add(name: str, kept: list[dict[str, Any]], one: dict[str, Any]) -> Answer:
        kept.append(one | {"id": len(kept) + 1})
        return 200, {"_embedded": {name: [{"id": len(kept)}]}}

    def contacts(self) -> list[str]:
        return [self._phone(one) for one in self.people]

    def calls(self) -> list[tuple[str, str, int]]:
        calls = [one for one in self.notes if one["note_type"] != "common"]
        return [(str(one["entity_id"]), one["params"].get("link", ""), one["params"]["duration"]) for one in calls]

    @property
    def comments(self) -> list[dict[str, Any]]:
        return [one for one in self.notes if one["note_type"] == "common"]

    def know(self, written: str, owner: str) -> None:
        phone = [{"field_code": "PHONE", "values": [{"value": written}]}]
        one = {"id": 1, "name": "Відома", "responsible_user_id": int(owner), "custom_fields_values": phone}
        self.people.append(one)

    def told(self) -> list[str]:
        return [one["text"] for one in self.todo]

    def tasks(self) -> list[str]:
        return [str(one["entity_id"]) for one in self.todo]
