import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address
from urllib.parse import quote, urlsplit

MAX_URL = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", re.ASCII)
_ENDS_IN_A_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)$", re.ASCII)
_SPACE = 0x20
_DELETE = 0x7F


class BadUrl(ValueError):
    """An endpoint's URL can't be used. The message is one sentence for the delivery log."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart into what a request needs. All texts are ASCII without spaces and control characters."""

    is_tls: bool
    host: str
    port: int
    host_header: str
    path: str


@lru_cache(maxsize=4096)
def target_of(url: str) -> Target:
    """Read an http or https URL; raise BadUrl. No part of it can add a line or a header to a request."""
    if len(url) > MAX_URL or any(ord(sign) <= _SPACE or ord(sign) == _DELETE for sign in url):
        raise BadUrl("the URL is too long or holds spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
        ascii_host = host if ":" in host else host.encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise BadUrl("the URL can't be read") from error
    if parts.scheme not in _DEFAULT_PORTS or not ascii_host or port == 0:
        raise BadUrl("the URL must be http or https with a host")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("the URL must not hold a user or a password")
    # IDNA's mapping can make a space or a sign of syntax out of a letter; an IPv6 address may name an interface.
    if not _HOST.fullmatch(ascii_host):
        raise BadUrl("the URL's host holds signs that no host has")
    if _ENDS_IN_A_NUMBER.search(ascii_host) and not _is_dotted_quad(ascii_host):
        # 0177.0.0.1 is 127.0.0.1 to one resolver and 177.0.0.1 to the next (WHATWG URL, "ends in a number").
        raise BadUrl("the URL's host is a number: write an address as four plain numbers with dots")
    return _target(parts.scheme, ascii_host, port, _path(parts.path, parts.query))


def _is_dotted_quad(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return ":" in host
    return True


def _target(scheme: str, host: str, port: int | None, path: str) -> Target:
    default = _DEFAULT_PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    header = shown if port in (None, default) else f"{shown}:{port}"
    return Target(scheme == "https", host, port or default, header, path)


def _path(path: str, query: str) -> str:
    safe = "/%:@!$&'()*+,;=-._~"
    text = quote(path or "/", safe=safe)
    return f"{text}?{quote(query, safe=safe + '?')}" if query else text
