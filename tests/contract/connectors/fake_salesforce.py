"""Salesforce's records by external id and its search, as the REST API Developer Guide describes them:
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm (201 where it makes a
record, 200 where it changes one, both with the id), .../resources_search_parameterized_get.htm (searchRecords),
and the Object Reference's Task (CallType is Inbound, Outbound or Internal).
"""

from dataclasses import dataclass, field
from typing import Any

from tests.contract.connectors.fake import Answer, Fake, Request, need


@dataclass
class Salesforce(Fake):
    records: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    TOKEN_PATH = "/services/oauth2/token"
    OVER_LIMIT = (403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}], 900.0)

    def handle(self, request: Request) -> Answer:
        path = request.path.removeprefix("/services/data/v60.0")
        if path == "/parameterizedSearch/":
            need(request.query["in"] == "PHONE", "in")
            found = [one for (kind, _), one in self.records.items() if kind == "Contact" and self._has(one, request)]
            asked = request.query["Contact.fields"].split(",")
            shown = [{"Name": one["LastName"], "OwnerId": "005", **one} for one in found]
            return 200, {"searchRecords": [{name: one[name] for name in asked} for one in shown][:1]}
        need(request.method == "PATCH", "method")
        _, _, kind, name, key = path.split("/")
        need(name == "Ringmaster_Id__c", "the field is no external id")
        known = self.records.get((kind, key))
        if known is None and request.query.get("updateOnly") == "true":
            return 404, [{"errorCode": "NOT_FOUND"}]
        if kind == "Contact":
            need("LastName" in request.body, "REQUIRED_FIELD_MISSING: LastName")
        elif known is None:
            need(0 < len(request.body["Subject"]) <= 255, "STRING_TOO_LONG: Subject")
            need(request.body["Status"] in {"Completed", "Not Started"}, "Status")
            need(request.body.get("CallType") in {None, "Inbound", "Outbound", "Internal"}, "CallType")
        one = (known or {"Id": f"00{len(self.records)}", "kind": kind}) | request.body
        self.records[kind, key] = one
        return 201 if known is None else 200, {"id": one["Id"], "success": True, "created": known is None, "errors": []}

    @staticmethod
    def _has(one: dict[str, Any], request: Request) -> bool:
        return request.query["q"] in "".join(sign for sign in one["Phone"] if sign.isdigit())

    def _all(self, kind: str, subtype: str | None) -> list[dict[str, Any]]:
        return [one for (name, _), one in self.records.items() if name == kind and one.get("TaskSubtype") == subtype]

    def contacts(self) -> list[str]:
        return [one["Phone"] for one in self._all("Contact", None)]

    def calls(self) -> list[tuple[str, str, int]]:
        found = self._all("Task", "Call")
        return [
            (
                one["WhoId"],
                one["Description"].partition("; https")[2] and "https" + one["Description"].partition("; https")[2],
                one["CallDurationInSeconds"],
            )
            for one in found
        ]

    def know(self, written: str, owner: str) -> None:
        self.records["Contact", "x"] = {"Id": "003", "LastName": "Відома", "Phone": written, "OwnerId": owner}

    def told(self) -> list[str]:
        return [one["Subject"] for one in self._all("Task", None)]

    def tasks(self) -> list[str]:
        return [one["WhoId"] for one in self._all("Task", None)]
