"""LeadVertex's interface for administrators, https://demo-1.leadvertex.ru/admin/page/api.html: addOrder,
updateOrder, getOrdersIdsByCondition (a list of ids, the conditions are fields of orders) and getOrdersByIds
(orders by id). The token is a parameter of the address; requests are forms. That page asks for a login, so the
shapes here are those of public programs that use it.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.contract.connectors.fake import Answer, Fake, Request, digits, need


@dataclass
class LeadVertex(Fake):
    OVER_LIMIT = (429, {"error": "too many requests"}, 0.0)
    orders: list[dict[str, Any]] = field(default_factory=list)

    def token_of(self, request: Request) -> str:
        return request.query.get("token", "")

    def handle(self, request: Request) -> Answer:
        method = request.path.removeprefix("/api/admin/").removesuffix(".html")
        if method == "getOrdersIdsByCondition":
            wanted = {name: value for name, value in request.query.items() if name != "token"}.items()
            return 200, [number + 1 for number, one in enumerate(self.orders) if wanted <= one.items()][::-1]
        if method == "getOrdersByIds":
            return 200, {number: self.orders[int(number) - 1] for number in request.query["ids"].split(",")}
        need(request.method == "POST" and isinstance(request.body, dict), "a form is posted")
        if method == "addOrder":
            self.orders.append(request.body)
            return 200, {str(len(self.orders)): "OK"}
        need(method == "updateOrder", "method")
        self.orders[int(request.query["id"]) - 1] |= request.body
        return 200, {request.query["id"]: "OK"}

    @property
    def comments(self) -> list[str]:
        return [one["additional3"] for one in self.orders if "additional3" in one]

    def contacts(self) -> list[str]:
        return ["+" + one["phone"] for one in self.orders]

    def calls(self) -> list[tuple[str, str, int]]:
        found = []
        for number, one in enumerate(self.orders):
            note = one.get("additional2", "")
            if "additional1" in one:
                link = note.partition("; https")[2]
                talked = int(note.partition("talked ")[2].partition(" s")[0])
                found.append((str(number + 1), link and "https" + link, talked))
        return found

    def know(self, written: str, owner: str) -> None:
        self.orders.append({"fio": "Відома", "phone": digits(written)})

    def told(self) -> list[str]:
        return [one["additional2"] for one in self.orders if one.get("status") == "7"]

    def tasks(self) -> list[str]:
        return [str(number + 1) for number, one in enumerate(self.orders) if one.get("status") == "7"]
