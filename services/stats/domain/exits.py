"""How a call ended, as people count it: whom an agent served was answered, whatever befell the call afterwards.

Routers tell it so. Logs from before they did hold calls that were answered and then fell back, or whose survey failed,
under what befell them; documents keep what was told, so each number that comes from an exit is taken through here.
"""

from typing import Final

ANSWERED: Final = "answered"
FALLBACK: Final = "fallback"


def counted(told: str, *, is_answered: bool) -> str:
    """Return the exit that counts; `told` is call.ended's, empty while the call goes on."""
    return ANSWERED if told and is_answered else told
