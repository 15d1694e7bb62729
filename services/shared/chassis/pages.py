"""What a service shows to people: its pages, and the words of an address that go along from one to the next."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flask import Response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined

LANGUAGES: Final = ("en", "uk")
DOOR: Final = Path(__file__).resolve().parent / "page"
"""The page of /login, and the sign of the house."""
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS: Final = {
    # Nothing but our own files, nothing inline: what somebody named or said can never become code.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # No word to others. Not no-referrer: a form would then send `Origin: null`, as if it were a foreign page's.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NO_STORE: Final = {**HEADERS, "Cache-Control": "no-store"}


class Pages:
    """The files of a page and of the door before it, read once, here.

    `folder` holds `<home>.html`, shown at /, and `<other>.html`, shown at /<other>. `title` stands on the door, in each
    language.
    """

    def __init__(self, folder: Path, title: Mapping[str, str], home: str, others: tuple[str, ...] = ()) -> None:
        self.title, self.home, self.others = title, home, others
        found = [path for place in (DOOR, folder) for path in sorted(place.iterdir()) if path.suffix in _MEDIA_TYPES]
        self.files = {path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix]) for path in found}
        """Content and media type of each."""
        environment = Environment(
            loader=FileSystemLoader([DOOR, folder]), autoescape=True, undefined=StrictUndefined, auto_reload=False
        )
        self._templates = {name: environment.get_template(name) for name in environment.list_templates(["html"])}

    def show(self, name: str, status: int = 200, **places: object) -> Response:
        """Answer with `<name>.html` in the language that is asked for, its places filled."""
        text = self._templates[f"{name}.html"].render(language=language(), **places)
        return Response(text, status=status, content_type="text/html; charset=utf-8", headers=NO_STORE)


def language() -> str:
    """Return the language asked for by ?lang, else the one that the browser prefers, else English."""
    asked = request.args.get("lang", "")
    return asked if asked in LANGUAGES else request.accept_languages.best_match(LANGUAGES, "en")


def moved(path: str) -> Response:
    """Send the browser on; what it was asked to show goes along, a token never does."""
    return Response(status=303, headers={"Location": path + kept(), **NO_STORE})


def kept(changed: Mapping[str, str] | None = None) -> str:
    """Return the query that goes along from address to address, with what is changed in it; empty for none."""
    asked = {name: request.args[name] for name in ("lang", "tenant", "wall") if _is_plain(name)} | dict(changed or {})
    return "?" + "&".join(f"{name}={value}" for name, value in asked.items()) if asked else ""


def _is_plain(name: str) -> bool:
    value = request.args.get(name)
    return value is not None and value.replace("-", "").isascii() and (not value or value.replace("-", "").isalnum())
