"""The webhooks' API as its description tells it: every route, every role, and requests made of it by the hundred."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.shared.access import Role
from tests.integration.webhooks.harness import call_started, wait_until
from tests.integration.webhooks.test_api import HOLDERS, House, house

__all__ = ["house"]
Document = dict[str, Any]
PLAIN: Final = {"/healthz", "/readyz", "/metrics", "/v1/openapi.json"}
"""For machines that know them, and the description itself. The page's files are not described either."""
JUDGED_BY_MEANING: Final = {
    "/v1/replays",
    "/v1/rules/dry-run",
    "/v1/rules/{rule_id}",
    "/v1/endpoints/{endpoint_id}",
    "/v1/endpoints/{endpoint_id}/example",
}
ENDLESS: Final = "/v1/deliveries/stream"
KNOWN: Final = {"endpoint_id": "crm", "rule_id": "each", "delivery_id": "evt-acme-1.crm"}


@pytest.fixture
def told(house: House) -> Document:
    found: Document = house.get("/v1/openapi.json")
    return found


def operations(told: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_route_is_described_and_the_description_is_whole(house: House, told: Document) -> None:
    rules = [
        rule for rule in house.app.url_map.iter_rules() if rule.endpoint.partition(".")[0] not in ("page", "static")
    ]
    registered = {rule.rule.replace("<", "{").replace(">", "}") for rule in rules}
    assert registered - set(told["paths"]) == PLAIN
    assert set(told["paths"]) <= registered
    schemas = told["components"]["schemas"]
    named = {part.partition('"')[0] for part in json.dumps(told).split('"#/components/schemas/')[1:]}
    assert named == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for _, _, operation in operations(told)]
    assert len(ids) == len(set(ids)) == 21


@pytest.mark.parametrize("who", ["boss", "admin", "analyst", "agent"])
def test_the_roles_that_it_names_are_those_that_are_let_in(house: House, told: Document, who: str) -> None:
    role = Role(HOLDERS[who][1]).value
    for method, path, operation in operations(told):
        if path == ENDLESS:
            continue
        asked = path.replace("{endpoint_id}", "nobody").replace("{delivery_id}", "nothing").replace("{rule_id}", "none")
        status = house.ask(asked, who, method=method).status_code
        assert (status == 403) == (role not in operation.get("x-roles", [role])), (method, path, status)


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_requests_made_of_the_description_are_answered_as_it_says(house: House, mode: str) -> None:
    house.console.apply("https://crm.example/")
    house.service.publish(call_started(1))
    wait_until(lambda: bool(house.deliveries()))
    schema = schemathesis.openapi.from_wsgi("/v1/openapi.json", house.app)
    _settle_who_asks(schema.raw_schema)
    found = [each.ok() for each in schema.get_all_operations()]
    assert len(found) == 21
    for operation in found:
        # The list of tenants is the token's own, whatever tenant the address names.
        if operation.path != ENDLESS and not (mode == "NEGATIVE" and operation.path == "/v1/tenants"):
            _try(operation, schemathesis.GenerationMode[mode])


def _settle_who_asks(told: Document) -> None:
    """Let requests be one token's, mostly about what is there: who may what is tested above."""
    del told["security"], told["components"]["securitySchemes"]
    for _, _, operation in operations(told):
        for parameter in operation["parameters"]:
            if parameter["name"] == "tenant":
                parameter["schema"] = {"enum": ["acme"]}
            if parameter["name"] in KNOWN:
                parameter["schema"] = {"enum": [KNOWN[parameter["name"]], "nobody"]}


def _try(operation: Any, mode: Any) -> None:
    """Send what the description allows, or forbids, of one operation; the library judges each answer by it."""

    @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def request(case: Any) -> None:
        if mode.name == "POSITIVE":
            # A cursor is a page's own; one that was made up is refused.
            case.query.pop("cursor", None)
        case.call_and_validate(headers={"Authorization": "Bearer admin"}, excluded_checks=_judged_by_meaning(operation))

    request()


def _judged_by_meaning(operation: Any) -> list[Any]:
    """A sound shape can make no sense: a replay that ends before it begins, a rule of no words."""
    return [positive_data_acceptance] if operation.path in JUDGED_BY_MEANING else []
