import re
from functools import lru_cache

# RFC 9110, 5.1 and 5.5, without the white space at the ends and without anything outside ASCII.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
_VALUE = re.compile(r"[!-~](?:[ -~]{0,1000}[!-~])?", re.ASCII)
# What the request itself consists of, and what the signature covers.
_OURS = frozenset(
    (
        *("connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive", "te"),
        *("trailer", "transfer-encoding", "upgrade", "user-agent"),
        *("webhook-example", "webhook-id", "webhook-signature", "webhook-timestamp"),
    )
)


class BadHeader(ValueError):
    """A header of a tenant's can't be sent. The message is one sentence for the delivery log."""


@lru_cache(maxsize=4096)
def header_lines(headers: tuple[tuple[str, str], ...]) -> str:
    """Return headers as lines of a request, each ended by CR LF; raise BadHeader for what could be more than one."""
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadHeader("a header of the endpoint holds signs that no header may hold")
        if name.lower() in _OURS:
            raise BadHeader(f"the header {name} is the platform's own")
    return "".join(f"{name}: {value}\r\n" for name, value in headers)
