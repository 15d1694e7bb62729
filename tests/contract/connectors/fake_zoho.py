"""Zoho CRM's records and search: https://www.zoho.com/crm/developer/docs/api/v8/search-records.html (204 without a
match), .../insert-records.html, .../upsert-records.html (Calls and Tasks are not among the modules of upsert),
and .../refresh.html. A field without duplicates answers DUPLICATE_DATA.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from tests.contract.connectors.fake import Answer, Fake, Request, need


@dataclass
class Zoho(Fake):
    records: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"Contacts": [], "Calls": [], "Tasks": []})

    TOKEN_PATH = "/oauth/v2/token"
    OVER_LIMIT = (429, {"code": "TOO_MANY_REQUESTS", "status": "error"}, 60.0)

    def token_of(self, request: Request) -> str:
        return request.headers.get("AUTHORIZATION", "").removeprefix("Zoho-oauthtoken ")

    def handle(self, request: Request) -> Answer:
        module, *rest = request.path.removeprefix("/crm/v8/").split("/")
        kept = self.records[module]
        if rest == ["search"]:
            found = [one for one in kept if self._matches(one, request.query)]
            return (200, {"data": found[:1]}) if found else (204, {})
        if request.method == "PUT":
            [one] = [one for one in kept if one["id"] == rest[0]]
            one |= request.body["data"][0]
            return 200, {"data": [{"code": "SUCCESS", "details": {"id": one["id"]}}]}
        [one] = request.body["data"]
        if rest == ["upsert"]:
            need(module == "Contacts", "NOT_SUPPORTED")
            known = [
                other
                for other in kept
                if all(other[name] == one[name] for name in request.body["duplicate_check_fields"])
            ]
            if known:
                return 200, {"data": [{"code": "SUCCESS", "details": {"id": known[0]["id"]}, "action": "update"}]}
        unique = one.get("Ringmaster_Call_ID")
        need(unique is None or all(other["Ringmaster_Call_ID"] != unique for other in kept), "DUPLICATE_DATA")
        if module == "Contacts":
            need(one.get("Last_Name"), "MANDATORY_NOT_FOUND: Last_Name")
        if module == "Calls":
            need(one["Call_Type"] in {"Inbound", "Outbound", "Missed"}, "Call_Type")
            need(len(one["Subject"]) <= 300, "Subject")
            need(re.fullmatch(r"\d{2,}:\d{2}", one["Call_Duration"]), "Call_Duration")
            need(
                re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", one["Call_Start_Time"]), "Call_Start_Time"
            )
        kept.append(one | {"id": f"{module}-{len(kept) + 1}", "Full_Name": one.get("Last_Name", "")})
        return 201, {"data": [{"code": "SUCCESS", "details": {"id": kept[-1]["id"]}}]}

    @staticmethod
    def _matches(one: dict[str, Any], query: dict[str, str]) -> bool:
        if "phone" in query:
            return query["phone"] in "".join(sign for sign in one["Phone"] if sign.isdigit())
        match = re.fullmatch(r"\((\w+):equals:([^()]*)\)", query["criteria"])
        return match is not None and one.get(match[1]) == match[2]

    def contacts(self) -> list[str]:
        return [one["Phone"] for one in self.records["Contacts"]]

    def calls(self) -> list[tuple[str, str, int]]:
        def seconds(text: str) -> int:
            minutes, _, rest = text.partition(":")
            return 60 * int(minutes) + int(rest)

        return [
            (one["Who_Id"]["id"], one.get("Voice_Recording__s", ""), seconds(one["Call_Duration"]))
            for one in self.records["Calls"]
        ]

    def know(self, written: str, owner: str) -> None:
        one = {"id": "1", "Full_Name": "Відома", "Phone": written, "Owner": {"id": owner}}
        self.records["Contacts"].append(one)

    def told(self) -> list[str]:
        return [one["Subject"] for one in self.records["Tasks"]]

    def tasks(self) -> list[str]:
        return [one["Who_Id"]["id"] for one in self.records["Tasks"]]
