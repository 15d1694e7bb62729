"""A service's page: its files, and how a browser signs in."""

from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from services.shared.chassis.admission import Admission

LANGUAGES: Final = ("en", "uk")
SIGNED_IN_SECONDS: Final = 30 * 86_400
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing but our own files, nothing inline: a name that somebody chose can never become code.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page_routes(admission: Admission, folder: Path, home: str, others: tuple[str, ...] = ()) -> Blueprint:
    """Make the routes of a folder with `<home>.html` and `login.html`; the files are read once, here.

    Each of `others` is a page at /<name>, of `<name>.html`, for those who have signed in.
    """
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _MEDIA_TYPES}
    pages = {name: (folder / f"{name}.html").read_text(encoding="utf-8") for name in (home, "login", *others)}
    api = Blueprint("page", __name__)

    def shown(name: str) -> Response:
        return _page(pages[name]) if admission.holder() is not None else _moved("/login")

    for path, name in {"/": home, **{f"/{other}": other for other in others}}.items():
        api.add_url_rule(path, name, partial(shown, name))

    @api.get("/login")
    def login() -> Response:
        token = request.args.get("token")
        return _page(pages["login"]) if token is None else _sign_in(admission, pages["login"], token)

    @api.post("/login")
    def login_by_form() -> Response:
        return _sign_in(admission, pages["login"], request.form.get("token", ""))

    @api.post("/logout")
    def logout() -> Response:
        answer = _moved("/login")
        answer.delete_cookie(admission.cookie, path="/", httponly=True, samesite="Strict")
        return answer

    @api.get("/page/<name>")
    def file(name: str) -> Response:
        if name not in files:
            raise NotFound
        answer = Response(files[name], content_type=_MEDIA_TYPES[Path(name).suffix], headers=HEADERS)
        answer.set_etag(sha256(files[name]).hexdigest()[:16])
        answer.headers["Cache-Control"] = "no-cache"
        answer.make_conditional(request)
        return answer

    return api


def language() -> str:
    """Return the language asked for by ?lang, else the one that the browser prefers, else English."""
    asked = request.args.get("lang", "")
    return asked if asked in LANGUAGES else request.accept_languages.best_match(LANGUAGES, "en")


def _page(text: str, status: int = 200, fault: str = "") -> Response:
    filled = text.replace("{{ language }}", language()).replace("{{ fault }}", fault)
    return Response(filled, status=status, content_type="text/html; charset=utf-8", headers=_no_store())


def _sign_in(admission: Admission, form: str, token: str) -> Response:
    if admission.tokens.holder(token) is None:
        return _page(form, 401, "unknown")
    answer = _moved("/")
    is_secure = request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"
    kept: dict[str, Any] = {"path": "/", "secure": is_secure, "httponly": True, "samesite": "Strict"}
    answer.set_cookie(admission.cookie, token, SIGNED_IN_SECONDS, **kept)
    return answer


def _moved(path: str) -> Response:
    """Send the browser on; what it was asked to show goes along, a token never does."""
    kept = "&".join(f"{name}={request.args[name]}" for name in ("lang", "tenant", "wall") if _is_plain(name))
    return Response(status=303, headers={"Location": f"{path}?{kept}" if kept else path, **_no_store()})


def _is_plain(name: str) -> bool:
    value = request.args.get(name)
    return value is not None and value.replace("-", "").isascii() and (not value or value.replace("-", "").isalnum())


def _no_store() -> dict[str, str]:
    return {**HEADERS, "Cache-Control": "no-store"}
