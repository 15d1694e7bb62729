"""The recordings' page: its files, and how a browser signs in."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from services.recorder.api.admission import COOKIE, holder_of
from services.shared.access import Holders

FILES: Final = Path(__file__).resolve().parents[1] / "page"
LANGUAGES: Final = ("en", "uk")
SIGNED_IN_SECONDS: Final = 30 * 86_400
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing but our own files, nothing inline: what somebody named or said can never become code.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NO_STORE: Final = {**HEADERS, "Cache-Control": "no-store"}


class Pages:
    """The page's files, read once."""

    def __init__(self, folder: Path = FILES) -> None:
        self.files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _MEDIA_TYPES}
        self._texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}

    def show(self, name: str, status: int = 200, fault: str = "") -> Response:
        """Answer with a page in the language that is asked for."""
        filled = self._texts[name].replace("{{ language }}", language()).replace("{{ fault }}", fault)
        return Response(filled, status=status, content_type="text/html; charset=utf-8", headers=_NO_STORE)


def page_routes(pages: Pages, tokens: Holders) -> Blueprint:
    """Make the routes."""
    api = Blueprint("page", __name__)

    @api.get("/")
    def recordings() -> Response:
        return _moved("/login") if holder_of(tokens) is None else pages.show("recordings")

    @api.get("/login")
    def login() -> Response:
        token = request.args.get("token")
        return pages.show("login") if token is None else _sign_in(pages, tokens, token)

    @api.post("/login")
    def login_by_form() -> Response:
        return _sign_in(pages, tokens, request.form.get("token", ""))

    @api.post("/logout")
    def logout() -> Response:
        answer = _moved("/login")
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return answer

    @api.get("/page/<name>")
    def file(name: str) -> Response:
        if name not in pages.files:
            raise NotFound
        answer = Response(pages.files[name], content_type=_MEDIA_TYPES[Path(name).suffix], headers=HEADERS)
        answer.set_etag(sha256(pages.files[name]).hexdigest()[:16])
        answer.headers["Cache-Control"] = "no-cache"
        answer.make_conditional(request)
        return answer

    return api


def language() -> str:
    """Return the language asked for by ?lang, else the one that the browser prefers, else English."""
    asked = request.args.get("lang", "")
    return asked if asked in LANGUAGES else request.accept_languages.best_match(LANGUAGES, "en")


def _sign_in(pages: Pages, tokens: Holders, token: str) -> Response:
    if tokens.holder(token) is None:
        return pages.show("login", 401, "unknown")
    answer = _moved("/")
    is_secure = request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"
    answer.set_cookie(COOKIE, token, SIGNED_IN_SECONDS, path="/", secure=is_secure, httponly=True, samesite="Strict")
    return answer


def _moved(path: str) -> Response:
    """Send the browser on; what it was asked to show goes along, a token never does."""
    kept = "&".join(f"{name}={request.args[name]}" for name in ("lang", "tenant") if _is_plain(name))
    return Response(status=303, headers={"Location": f"{path}?{kept}" if kept else path, **_NO_STORE})


def _is_plain(name: str) -> bool:
    value = request.args.get(name, "")
    return bool(value) and value.isascii() and value.replace("-", "").isalnum()
