"""Bitrix24's methods: https://apidocs.bitrix24.com/api-reference/crm/duplicates/crm-duplicate-find-by-comm.html (an
empty list where there is nobody), .../crm/contacts/crm-contact-add.html,
.../crm/timeline/activities/activity-base/ crm-activity-add.html (OWNER_ID, OWNER_TYPE_ID, TYPE_ID and
COMMUNICATIONS are required), .../crm/timeline/comments/ crm-timeline-comment-add.html and -list.html (ENTITY_ID and
ENTITY_TYPE say whose timeline), .../tasks/tasks-task-add.html. The token is the parameter `auth`.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.contract.connectors.fake import Answer, Fake, Request, digits, need


@dataclass
class Bitrix24(Fake):
    people: list[dict[str, Any]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    todo: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)

    TOKEN_PATH = "/oauth/token/"
    OVER_LIMIT = (503, {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}, 2.0)

    def token_of(self, request: Request) -> str:
        return request.query.get("auth", "")

    def handle(self, request: Request) -> Answer:
        method = request.path.removeprefix("/rest/").removesuffix(".json")
        need(request.method == "POST", "method")
        return 200, {"result": getattr(self, "_" + method.replace(".", "_"))(request.body)}

    def _crm_duplicate_findbycomm(self, body: Any) -> Any:
        need(body["type"] == "PHONE" and body["entity_type"] == "CONTACT", "type")
        need(0 < len(body["values"]) <= 20, "values")
        wanted = {digits(value) for value in body["values"]}
        found = [number + 1 for number, one in enumerate(self.people) if digits(one["PHONE"][0]["VALUE"]) in wanted]
        return {"CONTACT": found} if found else []

    def _crm_contact_add(self, body: Any) -> Any:
        self.people.append(body["fields"])
        return len(self.people)

    def _crm_contact_get(self, body: Any) -> Any:
        one = self.people[int(body["id"]) - 1]
        return {"ID": str(body["id"]), "NAME": one["NAME"], "ASSIGNED_BY_ID": one.get("ASSIGNED_BY_ID", "1")}

    def _crm_activity_list(self, body: Any) -> Any:
        wanted = body["filter"].items()
        return [
            {"ID": str(number + 1), "OWNER_ID": str(one["OWNER_ID"])}
            for number, one in enumerate(self.activities)
            if wanted <= one.items()
        ]

    def _crm_timeline_comment_list(self, body: Any) -> Any:
        wanted = body["filter"].items()
        found = [{"ID": str(number + 1), **one} for number, one in enumerate(self.comments) if wanted <= one.items()]
        return found[::-1]

    def _crm_timeline_comment_add(self, body: Any) -> Any:
        fields = body["fields"]
        need(set(fields) == {"ENTITY_ID", "ENTITY_TYPE", "COMMENT"} and fields["ENTITY_TYPE"] == "contact", "required")
        need(0 < int(fields["ENTITY_ID"]) <= len(self.people), "no such contact")
        self.comments.append(fields)
        return len(self.comments)

    def _crm_activity_add(self, body: Any) -> Any:
        fields = body["fields"]
        need({"OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "COMMUNICATIONS", "RESPONSIBLE_ID"} <= set(fields), "required")
        need(
            (fields["OWNER_TYPE_ID"], fields["TYPE_ID"]) == (3, 2) and fields["DIRECTION"] in (1, 2),
            "a call of a contact",
        )
        self.activities.append({name: value for name, value in fields.items() if name != "COMMUNICATIONS"})
        return len(self.activities)

    def _tasks_task_list(self, body: Any) -> Any:
        found = [number + 1 for number, one in enumerate(self.todo) if one["XML_ID"] == body["filter"]["XML_ID"]]
        return {"tasks": [{"id": str(number)} for number in found]}

    def _tasks_task_add(self, body: Any) -> Any:
        need({"TITLE", "RESPONSIBLE_ID"} <= set(body["fields"]), "required")
        self.todo.append(body["fields"])
        return {"task": {"id": str(len(self.todo))}}

    def contacts(self) -> list[str]:
        return [one["PHONE"][0]["VALUE"] for one in self.people]

    def calls(self) -> list[tuple[str, str, int]]:
        def talked(text: str) -> int:
            return int(text.partition("talked ")[2].partition(" s")[0])

        return [
            (
                str(one["OWNER_ID"]),
                one["DESCRIPTION"].partition("; https")[2] and "https" + one["DESCRIPTION"].partition("; https")[2],
                talked(one["DESCRIPTION"]),
            )
            for one in self.activities
        ]

    def know(self, written: str, owner: str) -> None:
        self.people.append({"NAME": "Відома", "ASSIGNED_BY_ID": owner, "PHONE": [{"VALUE": written}]})

    def told(self) -> list[str]:
        return [one["TITLE"] for one in self.todo]

    def tasks(self) -> list[str]:
        return [one["UF_CRM_TASK"][0].removeprefix("C_") for one in self.todo]
