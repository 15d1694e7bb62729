"""What every service promises of pages of other origins; each service's tests hold its whole application to it."""

import re
from typing import Any, Final

from flask import Flask

HOST: Final = "ringmaster.example:8443"
SELF_OPENED: Final = {"Sec-Fetch-Site": "none"}
"""What a browser sends for an address that its user typed."""
OWN: Final[tuple[dict[str, str], ...]] = (
    {"Sec-Fetch-Site": "same-origin", "Origin": f"https://{HOST}"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Origin": f"https://{HOST}"},
    {"Origin": f"HTTP://{HOST.upper()}"},
    SELF_OPENED,
    {},  # a program
)
FOREIGN: Final[tuple[dict[str, str], ...]] = (
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": f"https://{HOST}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://blog.ringmaster.example"},
    {"Sec-Fetch-Site": "something-new"},
    {"Sec-Fetch-Site": "SAME-ORIGIN "},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://ringmaster.example"},  # another port of the same house
    {"Origin": f"https://{HOST}.evil.example"},
    {"Origin": f"https://evil.example/{HOST}"},
    {"Origin": f"https://{HOST}@evil.example"},
    {"Origin": "https://[half"},
    {"Origin": "https://evil.example", "Authorization": "Basic Ym9zczpib3Nz"},  # a browser may add this by itself
)


def changing_routes(app: Flask) -> list[tuple[str, str]]:
    """Return method and address of all that may change something."""
    return sorted(
        (method, re.sub(r"<[^>]+>", "x", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}
    )


def assert_foreign_pages_change_nothing(app: Flask, cookie: tuple[str, str] | None = None) -> None:
    """Hold every route to it, for somebody who has signed in where there is a page; and /login to more.

    `cookie` is the name of the page's cookie, and a token that opens it.
    """
    routes = changing_routes(app)
    for method, path in routes:
        for headers in FOREIGN:
            answer = _ask(app, method, path, headers, cookie)
            assert (answer.status_code, answer.json["type"]) == (403, "urn:ringmaster:problem:foreign-page"), (
                method,
                path,
                headers,
            )
            assert "Set-Cookie" not in answer.headers
    if cookie is not None:
        assert {("POST", "/login"), ("POST", "/logout")} <= set(routes)
        _hold_the_door(app, cookie[1])


def _hold_the_door(app: Flask, token: str) -> None:
    for headers in OWN:
        assert _ask(app, "POST", "/login", headers, None, data={"token": token}).status_code == 303, headers
        assert _ask(app, "POST", "/logout", headers, None).status_code == 303, headers
    for headers in OWN:
        is_said = "Sec-Fetch-Site" in headers
        answer = _ask(app, "GET", f"/login?token={token}", headers, None)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == ((303, True) if is_said else (403, False))
    for headers in FOREIGN:
        answer = _ask(app, "GET", f"/login?token={token}", headers, None)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False), headers
        assert token not in answer.get_data(as_text=True)
        assert _ask(app, "GET", "/login", headers, None).status_code == 200  # the empty form is for everybody


def _ask(
    app: Flask, method: str, path: str, headers: dict[str, str], cookie: tuple[str, str] | None, **more: Any
) -> Any:
    client = app.test_client()
    if cookie is not None:
        client.set_cookie(*cookie, domain="ringmaster.example")
    return client.open(path, method=method, headers={"Host": HOST, **headers}, **more)
