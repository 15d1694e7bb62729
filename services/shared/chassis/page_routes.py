"""The routes of a service's page and of the door before it: how a browser signs in, and out again."""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from services.shared.chassis.admission import Admission
from services.shared.chassis.origin import is_own_navigation
from services.shared.chassis.pages import HEADERS, Pages, kept, language, moved

SIGNED_IN_SECONDS: Final = 30 * 86_400
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "token": "Access token",
        "sign_in": "Sign in",
        "unknown": "This token is not known here.",
        "only_address": "An address that another page may have given does not sign you in. Enter your token.",
        "other_language": "Українська",
    },
    "uk": {
        "token": "Ключ доступу",
        "sign_in": "Увійти",
        "unknown": "Такого ключа тут не знають.",
        "only_address": "Адреса, яку могла дати інша сторінка, тут не впускає. Введіть свій ключ доступу.",
        "other_language": "English",
    },
}


def page_routes(admission: Admission, pages: Pages) -> Blueprint:
    """Make the routes: the pages for those who have signed in, their files, /login and /logout."""
    api = Blueprint("page", __name__)

    def shown(name: str) -> Response:
        return pages.show(name) if admission.holder() is not None else moved("/login")

    for path, name in {"/": pages.home, **{f"/{other}": other for other in pages.others}}.items():
        api.add_url_rule(path, name, partial(shown, name))
    _add_door(api, admission, pages)

    @api.get("/page/<name>")
    def file(name: str) -> Response:
        if name not in pages.files:
            raise NotFound
        content, media_type = pages.files[name]
        answer = Response(content, content_type=media_type, headers=HEADERS)
        answer.set_etag(sha256(content).hexdigest()[:16])
        answer.headers["Cache-Control"] = "no-cache"
        answer.make_conditional(request)
        return answer

    return api


def _add_door(api: Blueprint, admission: Admission, pages: Pages) -> None:
    @api.get("/login")
    def login() -> Response:
        token = request.args.get("token")
        if token is None:
            return _door(pages)
        # Else a link of somebody's could sign others in as himself, and see what they do then.
        return _sign_in(admission, pages, token) if is_own_navigation() else _door(pages, 403, "only_address")

    @api.post("/login")
    def login_by_form() -> Response:
        return _sign_in(admission, pages, request.form.get("token", ""))

    @api.post("/logout")
    def logout() -> Response:
        answer = moved("/login")
        answer.delete_cookie(admission.cookie, path="/", httponly=True, samesite="Strict")
        return answer


def _sign_in(admission: Admission, pages: Pages, token: str) -> Response:
    if admission.tokens.holder(token) is None:
        return _door(pages, 401, "unknown")
    answer = moved("/")
    is_secure = request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"
    lasting: dict[str, Any] = {"path": "/", "secure": is_secure, "httponly": True, "samesite": "Strict"}
    answer.set_cookie(admission.cookie, token, SIGNED_IN_SECONDS, **lasting)
    return answer


def _door(pages: Pages, status: int = 200, fault: str = "") -> Response:
    """Show the door; `fault` is the key of a word that says why it did not open."""
    spoken = language()
    other = "en" if spoken == "uk" else "uk"
    places = {"kept": kept(), "translated": kept({"lang": other}), "other_language": other}
    return pages.show("login", status, title=pages.title[spoken], words=WORDS[spoken], fault=fault, **places)
