"""HubSpot's objects and search, as their guides describe them:
https://developers.hubspot.com/docs/api-reference/legacy/crm/activities/calls/guide (properties, association type
194), https://developers.hubspot.com/docs/api-reference/search/guide (filter groups are joined by or), and
https://developers.hubspot.com/docs/api-reference/legacy/crm/properties/guide (idProperty of a unique property).
"""

from dataclasses import dataclass, field
from typing import Any

from tests.contract.connectors.fake import Answer, Fake, Request, digits, need

ASSOCIATIONS = {"calls": 194, "tasks": 204}
STATUSES = {"BUSY", "CALLING_CRM_USER", "CANCELED", "COMPLETED", "CONNECTING", "FAILED", "IN_PROGRESS", "NO_ANSWER"}


@dataclass
class HubSpot(Fake):
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"contacts": [], "calls": [], "tasks": []})

    TOKEN_PATH = "/oauth/v1/token"
    OVER_LIMIT = (429, {"status": "error", "errorType": "RATE_LIMIT", "policyName": "DAILY"}, 3600.0)

    def handle(self, request: Request) -> Answer:
        parts = request.path.removeprefix("/crm/v3/objects/").split("/")
        kept = self.objects[parts[0]]
        if parts[1:] == ["search"]:
            return self._search(kept, request.body)
        if request.method == "POST":
            return self._create(parts[0], kept, request.body)
        found = [one for one in kept if one["properties"].get(request.query["idProperty"]) == parts[1]]
        if not found:
            return 404, {"category": "OBJECT_NOT_FOUND"}
        if request.method == "PATCH":
            found[0]["properties"] |= request.body["properties"]
        return 200, found[0]

    def _search(self, kept: list[dict[str, Any]], body: Any) -> Answer:
        def matches(one: dict[str, Any]) -> bool:
            return any(
                all(self._property(one, term["propertyName"]) == term["value"] for term in group["filters"])
                for group in body["filterGroups"]
            )

        need(len(body["filterGroups"]) <= 5, "filterGroups")
        need(all(term["operator"] == "EQ" for group in body["filterGroups"] for term in group["filters"]), "operator")
        found = [one for one in kept if matches(one)][: body["limit"]]
        shown = [
            {
                "id": one["id"],
                "properties": {
                    name: one["properties"][name] for name in body["properties"] if name in one["properties"]
                },
            }
            for one in found
        ]
        return 200, {"results": shown}

    @staticmethod
    def _property(one: dict[str, Any], name: str) -> Any:
        """Return a property; the searchable ones are the number without its country's code, however it was written."""
        if name.startswith("hs_searchable_calculated_"):
            plain = digits(one["properties"].get({"phone": "phone"}.get(name.split("_")[3], "mobilephone"), ""))
            return plain.removeprefix("380").removeprefix("0")
        return one["properties"].get(name)

    def _create(self, kind: str, kept: list[dict[str, Any]], body: Any) -> Answer:
        properties = body["properties"]
        if kind in ASSOCIATIONS:
            need("hs_timestamp" in properties, "hs_timestamp is required")
            types = [one["associationTypeId"] for to in body["associations"] for one in to["types"]]
            need(types == [ASSOCIATIONS[kind]], "association")
            unique = properties["ringmaster_call_id"]
            need(properties.get("hs_task_type", "CALL") in {"CALL", "EMAIL", "TODO"}, "hs_task_type")
            need(all(one["properties"]["ringmaster_call_id"] != unique for one in kept), "the id must be unique")
        if kind == "calls":
            need(properties["hs_call_status"] in STATUSES, "hs_call_status")
            need(properties["hs_call_direction"] in {"INBOUND", "OUTBOUND"}, "hs_call_direction")
        one = {"id": str(len(kept) + 1), "properties": properties, "to": body.get("associations", [])}
        kept.append(one)
        return 201, one

    def contacts(self) -> list[str]:
        return [one["properties"]["phone"] for one in self.objects["contacts"]]

    def calls(self) -> list[tuple[str, str, int]]:
        return [
            (
                one["to"][0]["to"]["id"],
                one["properties"].get("hs_call_recording_url", ""),
                one["properties"]["hs_call_duration"] // 1000,
            )
            for one in self.objects["calls"]
        ]

    def know(self, written: str, owner: str) -> None:
        properties = {"phone": written, "firstname": "Відома", "hubspot_owner_id": owner}
        self.objects["contacts"].append({"id": "1", "properties": properties})

    def told(self) -> list[str]:
        return [one["properties"]["hs_task_subject"] for one in self.objects["tasks"]]

    def tasks(self) -> list[str]:
        return [one["to"][0]["to"]["id"] for one in self.objects["tasks"]]
