"""Prompts as FreeSWITCH file names. Names are checked, spoken text is reduced to what no reader can misread."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.listener.domain.recordings import safe_name
from services.shared.contracts.ringmaster.v1.command_pb2 import Prompt

SHARED_FOLDER = "default"
SHORTEST_SILENCE = "silence_stream://1"
_LONGEST_SILENCE_MS = 600_000
_LONGEST_TEXT = 1_000
# FreeSWITCH would read these as separators, quotes or expansions in some of its passes over an argument.
_MISREADABLE = re.compile(r"""[\x00-\x1f\x7f!|'"\\${}\[\]<>&@^;=~`]+""")
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch


@dataclass(frozen=True, slots=True)
class PromptLibrary:
    """Finds prompts: in the prompt's language, else the tenant's; in the tenant's folder first, then the shared one.

    `uk-UA` falls back to `uk`: better a prompt in another language than none.
    """

    root: str
    exists: Callable[[str], bool]
    speech: str
    """Engine and voice of spoken text, `engine|voice`."""

    def sound(self, prompts: Sequence[Prompt], tenant_id: str, language: str) -> str:
        """Return one file name for a list of prompts. Raises UnsafeName for a name that is no file name."""
        parts = [self._one(prompt, tenant_id, (prompt.language or language, language)) for prompt in prompts]
        if not parts:
            return SHORTEST_SILENCE
        return parts[0] if len(parts) == 1 else "file_string://" + "!".join(parts)

    def _one(self, prompt: Prompt, tenant_id: str, languages: tuple[str, str]) -> str:
        match prompt.WhichOneof("source"):
            case "text":
                return self._spoken(prompt.text)
            case "number":
                return self._spoken(str(prompt.number))
            case "silence_ms":
                return f"silence_stream://{max(1, min(prompt.silence_ms, _LONGEST_SILENCE_MS))}"
            case _:
                return self._file(safe_name(prompt.name), tenant_id, languages)

    def _file(self, name: str, tenant_id: str, languages: tuple[str, str]) -> str:
        folders = (safe_name(tenant_id), SHARED_FOLDER)
        candidates = [
            f"{self.root}/{folder}/{safe_name(way)}/{name}.wav"
            for language in dict.fromkeys(languages)
            for folder in folders
            for way in (language, language.partition("-")[0])
        ]
        found = next((path for path in candidates if self.exists(path)), None)
        return found or candidates[-1]  # FreeSWITCH then says FILE NOT FOUND, and PlaybackFinished tells it

    def _spoken(self, text: str) -> str:
        plain = _MISREADABLE.sub(" ", text)[:_LONGEST_TEXT].strip()
        return f"tts://{self.speech}|{plain}" if plain else SHORTEST_SILENCE


def music(stream: str) -> str:
    """Return endless music by its name, the default stream for a name that is none."""
    return f"local_stream://{stream if _STREAM(stream) else 'default'}"


def answer_pattern(valid: Sequence[str], most: int) -> str:
    """Return the regular expression of the valid answers, written by us from digits only.

    `*` and `#` stand in a class, so that no pass over the argument meets a backslash. An answer of other characters is
    left out; without any the pattern takes every digit.
    """
    answers = [each for each in valid if re.fullmatch(r"[0-9A-D*#]{1,32}", each)]
    if not answers:
        return f"^[0-9A-D*#]{{1,{max(1, most)}}}$" if not valid else "^x$"
    spelled = ("".join(f"[{digit}]" if digit in "*#" else digit for digit in each) for each in answers)
    return f"^({'|'.join(spelled)})$"
