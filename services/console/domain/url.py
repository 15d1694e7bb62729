"""Addresses that a document says to send to. Whether they are safe to reach is judged when they are connected to."""

from typing import Final
from urllib.parse import urlsplit

from services.shared.sentence import sentence

MOST_PORT: Final = 65_535


def complaint_about_url(url: str) -> str:
    """Return what is wrong with an address to send to, empty when nothing is."""
    if any(not "!" <= character <= "~" for character in url):
        return sentence("must not hold spaces, control characters or letters outside ASCII.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return sentence("can't be read as a URL.")
    if parts.scheme not in ("http", "https"):
        return sentence("must begin with http:// or https://.")
    if not parts.hostname or (port is not None and not 0 < port <= MOST_PORT):
        return sentence("must name a host, and a port that exists.")
    return sentence("must not hold a user or a password.") if "@" in parts.netloc else ""
