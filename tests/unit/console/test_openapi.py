"""The API as its description tells it: every route, every role, every page; and thousands of requests made of it."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.console.api.models import MOST_LISTED
from services.console.domain.live import SeenCall
from services.shared.contracts.ringmaster.v1.event_pb2 import CallStarted, Event
from tests.unit.chassis.foreign_pages import assert_foreign_pages_change_nothing
from tests.unit.console.conftest import ENTRIES, Office
from tests.unit.console.test_api import ROUTES

Document = dict[str, Any]
PLAIN: Final = {"/healthz", "/readyz", "/metrics", "/freeswitch/directory", "/freeswitch/dialplan", "/v1/openapi.json"}
"""Routes for machines that know them, and the description itself."""
DOCUMENTS: Final = (
    "/v1/tenants/{tenant_id}",
    "/v1/tenants/{tenant_id}/diff",
    "/v1/tenants/{tenant_id}/flows/{flow_id}",
    "/v1/tenants/{tenant_id}/flows/{flow_id}/diff",
    "/v1/tenants/{tenant_id}/campaigns/{campaign_id}/contacts",
)
"""Their bodies are whole documents, which have tests of their own: making one up takes a minute."""
JUDGED_BY_MEANING: Final = (
    "/v1/erasures",
    "/v1/tenants/{tenant_id}/callbacks",
    "/v1/tenants/{tenant_id}/callbacks/{callback_id}/reschedule",
)
"""A body can have a sound shape and make no sense: a moment before 1970, a number that is none."""

ASKED_BY_TOKEN_ALONE: Final = "/v1/holder"
"""Nothing of such a request can be wrong."""


@pytest.fixture
def open_office(office: Office, acme: Document) -> Office:
    office.console.tenancy.apply(acme, "test")
    office.start()
    office.wait_for(lambda: office.console.directory.document("acme"), "the document is read")
    return office


@pytest.fixture
def told(office: Office) -> Document:
    found: Document = office.ask("GET", "/v1/openapi.json").get_json()
    return found


def operations(told: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_a_page_of_another_origin_changes_nothing(office: Office) -> None:
    assert_foreign_pages_change_nothing(office.client.application)


def test_every_route_is_described(office: Office, told: Document) -> None:
    rules = [one for one in office.client.application.url_map.iter_rules() if not one.endpoint.startswith("page.")]
    registered = {
        (rule.rule.replace("<", "{").replace(">", "}"), method) for rule in rules for method in rule.methods or ()
    }
    described = {(path, method) for method, path, _ in operations(told)}
    assert {path for path, method in registered - described if method not in ("HEAD", "OPTIONS")} == PLAIN
    assert described <= registered


def test_the_description_is_whole(told: Document) -> None:
    text = json.dumps(told)
    schemas = told["components"]["schemas"]
    named = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named == set(schemas)
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert name
    ids = [operation["operationId"] for _, _, operation in operations(told)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("token", [name for name in ENTRIES if name.startswith("acme-")])
def test_the_roles_that_it_names_are_those_that_are_let_in(open_office: Office, told: Document, token: str) -> None:
    role = ENTRIES[token]["role"]
    adapter = open_office.client.application.url_map.bind("localhost")
    named = {
        operation["operationId"]: operation["x-roles"] for _, _, operation in operations(told) if "x-roles" in operation
    }
    for method, path, _ in ROUTES:
        endpoint, _ = adapter.match(path.partition("?")[0], method)
        # A body that can't be: who may gets to hear of that, who may not doesn't.
        status = open_office.ask(method, path, token, b"\xff").status_code
        is_named = role in named[str(endpoint).replace(".", "_")]
        is_of_another = role == "agent" and "/calls/" in path
        assert (status != 403) == (is_named and not is_of_another), (method, path)


def pages(office: Office, path: str, items: str, limit: int) -> list[list[Any]]:
    found: list[list[Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = office.ask("GET", f"{path}?limit={limit}&cursor={cursor}", "root")
        assert answer.status_code == 200, answer.text
        found.append(answer.get_json()[items])
        cursor = answer.get_json()["cursor"]
    return found


def test_lists_come_in_pages_and_what_goes_meanwhile_shifts_nothing(open_office: Office, borealis: Document) -> None:
    tenancy, calls = open_office.console.tenancy, open_office.console.live.calls
    tenancy.apply(borealis, "test")
    for number in range(1, 7):
        tenancy.apply(tenancy.version("acme").document | {"name": f"Acme {number}"}, "test")
    open_office.console.live._tenants.clear()
    assert pages(open_office, "/v1/tenants", "tenants", 1) == [["acme"], ["borealis"]]
    versions = pages(open_office, "/v1/tenants/acme/versions", "versions", 3)
    assert [[one["version"] for one in page] for page in versions] == [[7, 6, 5], [4, 3, 2], [1]]
    agents = pages(open_office, "/v1/tenants/acme/agents", "agents", 3)
    assert [one["agent_id"] for page in agents for one in page] == sorted(
        agent["agent_id"] for agent in tenancy.version("acme").document["agents"]
    )
    for number in range(5):
        open_office.console.live.apply(
            Event(tenant_id="acme", call_id=f"c{number}", call_started=CallStarted(line="+380441000001"))
        )
    first = open_office.ask("GET", "/v1/tenants/acme/calls?limit=2", "root").get_json()
    assert [one["call_id"] for one in first["calls"]] == ["c0", "c1"]
    calls("acme").pop("c1")
    calls("acme")["c00"] = SeenCall()
    second = open_office.ask("GET", f"/v1/tenants/acme/calls?limit=2&cursor={first['cursor']}", "root").get_json()
    assert [one["call_id"] for one in second["calls"]] == ["c2", "c3"]


@pytest.mark.parametrize("items", ["versions", "agents", "calls", "callbacks", "flows"])
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        f"limit={MOST_LISTED + 1}",
        "limit=x",
        "limit=-1",
        "limit=%EF%BC%91",
        "cursor=x",
        "cursor=W10=",
        "cursor=WzEuNV0=",
        f"cursor={'W' * 2_000}",
        "cursor=W3RydWVd",
        "cursor=%FF",
    ],
)
def test_a_page_that_can_not_be_is_refused(open_office: Office, items: str, query: str) -> None:
    answer = open_office.ask("GET", f"/v1/tenants/acme/{items}?{query}", "root")
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


def test_a_rollback_that_is_sent_again_after_a_lost_answer_takes_effect_once(open_office: Office) -> None:
    tenancy, path = open_office.console.tenancy, "/v1/tenants/acme/rollback?version=1"
    first = tenancy.version("acme").document
    tenancy.apply(first | {"name": "Second"}, "test")
    assert open_office.ask("POST", path, "root", Idempotency_Key="k").get_json()["version"] == 3
    tenancy.apply(first | {"name": "Fourth"}, "test")
    again = open_office.ask("POST", path, "root", Idempotency_Key="k").get_json()
    assert (again["version"], again["is_new"]) == (3, False)
    assert tenancy.version("acme").document["name"] == "Fourth"
    assert open_office.ask("POST", path, "acme-admin", Idempotency_Key="k").get_json()["version"] == 5
    other = open_office.ask("POST", "/v1/tenants/acme/rollback?version=2", "root", Idempotency_Key="k").get_json()
    assert (other["version"], tenancy.version("acme").document["name"]) == (6, "Second")
    flow = "/v1/tenants/acme/flows/main/rollback?version=1"
    assert open_office.ask("POST", flow, "acme-admin", Idempotency_Key="k" * 256).status_code == 400


@pytest.mark.parametrize(("method", "path", "status"), [("PATCH", "/v1/tenants/acme", 405), ("GET", "/v2", 404)])
def test_what_no_route_answers_is_a_problem_too(office: Office, method: str, path: str, status: int) -> None:
    answer = office.ask(method, path, "root")
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert (status == 405) == ("PUT" in answer.headers.get("Allow", ""))


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_requests_made_of_the_description_are_answered_as_it_says(open_office: Office, mode: str) -> None:
    open_office.answer_all()
    schema = schemathesis.openapi.from_wsgi("/v1/openapi.json", open_office.client.application)
    _settle_who_asks(schema.raw_schema)
    tried = [
        operation
        for operation in (found.ok() for found in schema.get_all_operations())
        if not (operation.body and operation.path in DOCUMENTS)
    ]
    assert len(tried) == len(list(operations(schema.raw_schema))) - len(DOCUMENTS)
    for operation in tried:
        if mode == "NEGATIVE" and operation.path == ASKED_BY_TOKEN_ALONE:
            continue
        _try(operation, schemathesis.GenerationMode[mode])


def _settle_who_asks(told: Document) -> None:
    """Let every request be one of the token and the tenant that are there: who may what is tested above."""
    del told["security"], told["components"]["securitySchemes"]
    for _, _, operation in operations(told):
        for parameter in operation["parameters"]:
            if parameter["name"] == "tenant_id":
                parameter["schema"] = {"enum": ["acme"]}


def _try(operation: Any, mode: Any) -> None:
    """Send what the description allows, or forbids, of one operation; the library judges each answer by it."""
    excluded = [positive_data_acceptance] if operation.path in JUDGED_BY_MEANING else []

    @settings(max_examples=10, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def request(case: Any) -> None:
        if mode.name == "POSITIVE":
            # A cursor is a page's own; one that was made up is refused.
            case.query.pop("cursor", None)
        case.call_and_validate(headers={"Authorization": "Bearer acme-admin"}, excluded_checks=excluded)

    request()
