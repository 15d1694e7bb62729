"""Which page a browser's request came from: a foreign one must not act, nor sign anybody in, in somebody's name.

The rule is that of the Fetch Metadata request headers (W3C), with the Origin header (RFC 6454) for browsers and places
without them: no script can set either. What sends neither is no browser, and holds nobody's cookie.
"""

from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, request

from services.shared.chassis.problems import problem
from services.shared.chassis.tokens import bearer_token

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN: Final = frozenset({"same-origin", "none"})
"""From a page of ours, or typed, or opened from outside the browser. A neighbour (same-site) is a stranger too."""


def refuse_foreign_pages(app: Flask) -> None:
    """Refuse (403) what changes something where a page of another origin asks for it.

    Who sends a bearer token is let through: no browser adds one by itself, as it adds cookies and Basic credentials.
    """

    @app.before_request
    def refuse() -> Response | None:
        is_by_token = bool(bearer_token(request.headers.get("Authorization", "")))
        if request.method in _READING or is_by_token or not is_foreign():
            return None
        return problem(403, "foreign-page", "A page of another origin asked for this; a proxy must pass Host on.")


def is_foreign() -> bool:
    """Whether the browser says that a page of another origin made it send this request."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in _OWN
    origin = request.headers.get("Origin")
    return origin is not None and _host_of(origin) != request.host.lower()


def is_own_navigation() -> bool:
    """Whether the browser says that its own user, or a page of ours, came to this address.

    A GET has no Origin, so silence proves nothing here: a browser that does not say counts as sent by a stranger.
    """
    return request.headers.get("Sec-Fetch-Site") in _OWN


def _host_of(origin: str) -> str | None:
    """Return host and port, None for `null` and what is no origin."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
