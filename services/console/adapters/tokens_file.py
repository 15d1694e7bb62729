import json
from pathlib import Path

from services.console.domain.access import BadTokens, Tokens, tokens_of


def read_tokens(path: Path) -> Tokens:
    """Read the file of RINGMASTER_API_TOKENS; raise BadTokens with one sentence."""
    try:
        return tokens_of(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadTokens(f"{path}: {error.strerror}") from error
    except BadTokens as error:
        raise BadTokens(f"{path}: {error}") from error
    except ValueError as error:
        raise BadTokens(f"{path}: this is not JSON") from error
