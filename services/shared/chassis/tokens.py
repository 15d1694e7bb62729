import json
from pathlib import Path
from typing import Final

import structlog

from services.shared.access import BadTokens, Principal, Tokens, tokens_of

# A longer one is nobody's; it is refused before any work is done for it.
MAX_TOKEN: Final = 512

log = structlog.get_logger()


class TokensFile:
    """The file of RINGMASTER_API_TOKENS, token's hex SHA-256 to {tenant, role, actor}; read anew once it was replaced.

    A file that can't be used at the start raises BadTokens, so a service says so and ends. One that breaks later lets
    nobody in until it is mended: a token that was taken away must never live on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # The state comes first: what replaces the file while it is read is then read the next time.
        self._read_at = self._state()
        self._tokens = read_tokens(path)

    def holder(self, token: str) -> Principal | None:
        """Return who holds a token, None for nobody."""
        if not 0 < len(token) <= MAX_TOKEN:
            return None
        self._refresh()
        return self._tokens.holder(token)

    def _state(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _refresh(self) -> None:
        state = self._state()
        if state is not None and state == self._read_at:
            return
        try:
            self._tokens = read_tokens(self._path)
        except BadTokens as error:
            if state != self._read_at:
                log.error("tokens_unusable", reason=str(error))  # noqa: TRY400 - a sentence, not a trace
            self._tokens = Tokens({})
        self._read_at = state


def bearer_token(authorization: str) -> str:
    """Return the token of an Authorization header, empty when it holds none."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else ""


def read_tokens(path: Path) -> Tokens:
    """Read a file of tokens; raise BadTokens with one sentence."""
    try:
        return tokens_of(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadTokens(f"{path}: {error.strerror}") from error
    except BadTokens as error:
        raise BadTokens(f"{path}: {error}") from error
    except ValueError as error:
        raise BadTokens(f"{path}: this is not JSON") from error
