import pytest
from flask import Flask, Response

from services.shared.chassis.web import service_app
from tests.unit.chassis.foreign_pages import FOREIGN, HOST, OWN

METHODS = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def app() -> Flask:
    app = service_app("any", lambda: (True, ""))

    @app.route("/thing", methods=["GET", *METHODS])
    def thing() -> Response:
        return Response(status=204)

    return app


def status(app: Flask, method: str, headers: dict[str, str]) -> int:
    return app.test_client().open("/thing", method=method, headers={"Host": HOST, **headers}).status_code


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_origin_changes_nothing_but_may_look(app: Flask, headers: dict[str, str]) -> None:
    assert {status(app, method, headers) for method in METHODS} == {403}
    assert status(app, "GET", headers) == 204


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_our_own_page_and_a_program_may(app: Flask, headers: dict[str, str]) -> None:
    assert {status(app, method, headers) for method in METHODS} == {204}


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_bearer_token_is_nothing_that_a_browser_adds_by_itself(app: Flask, headers: dict[str, str]) -> None:
    assert status(app, "POST", {**headers, "Authorization": "Bearer mine"}) == 204
