"""Questions to a service's API with a token, as the command line asks them."""

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any, Final

ANSWER_SECONDS: Final = 10


class Refused(Exception):
    """The service refuses: one sentence, the problem's last word, and the status."""

    def __init__(self, detail: str, kind: str, status: int) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status = status


class NotAnswered(Exception):
    """The service does not answer, or somebody else does; one sentence."""


@dataclass(frozen=True, slots=True)
class Api:
    """Where a service answers. `who` and `variable` are for the person who reads what went wrong."""

    who: str
    variable: str
    url: str
    token: str
    tenant: str = ""
    """For a token of every company: whose."""

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer. Raises Refused, NotAnswered."""
        query = f"?{urllib.parse.urlencode({'tenant': self.tenant})}" if self.tenant else ""
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        request = urllib.request.Request(  # noqa: S310 - an operator's own
            f"{self.url.rstrip('/')}{path}{query}", None if body is None else json.dumps(body).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - the same
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise self._refusal_of(error) from error
        except (OSError, ValueError) as error:
            raise NotAnswered(f"{self.who} does not answer ({self.variable}): {error}") from error

    def _refusal_of(self, error: urllib.error.HTTPError) -> Refused:
        """Return the problem's own sentence (RFC 9457), or the status where somebody else answers."""
        try:
            problem = json.load(error)
            return Refused(str(problem["detail"]), str(problem["type"]).rsplit(":", 1)[-1], error.code)
        except (ValueError, KeyError, TypeError):
            return Refused(f"{self.who} refuses with status {error.code}", "", error.code)
