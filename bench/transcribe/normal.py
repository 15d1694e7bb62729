"""What two writings of the same words have in common: digits for numbers, no marks, one kind of apostrophe.

English goes through OpenAI's own normaliser (package whisper-normalizer), which knows contractions and spellings. In
Ukrainian and Russian each number becomes its digits, one by one, however it is written: «сорок два», 42 and «4 2» are
the same, and each wrong digit counts. Both sides are brought to this form alike.
"""

import re
from functools import cache
from itertools import groupby
from typing import Any, Final

from services.recorder.domain.transcript.numerals import digits_of, spoken_digits

_APOSTROPHES: Final = str.maketrans(dict.fromkeys("’ʼ`´", "'") | {"ё": "е"})
_KEYS: Final = {"en": {"*": "star", "#": "pound"}, "ru": {"*": "звездочка", "#": "решетка"}, "uk": {}}
"""Keys that texts write as signs, as the voices say them."""
_TOGETHER: Final = {
    "file name": "filename",
    "black list": "blacklist",
    "re record": "rerecord",
    "represenatives": "representatives",
}
"""The same words written together or apart, and one that the package's texts misspell."""
_PURPOSE: Final = re.compile(r"\bчто бы\b")
"""«чтобы»: the package's Russian texts write it apart."""
_WRITTEN_APART: Final = re.compile("|".join(_TOGETHER))
_MARKS: Final = re.compile(r"[^\w' ]+")


def normal(text: str, language: str) -> str:
    """Return the words of a text as they are compared."""
    for sign, word in _KEYS[language].items():
        text = text.replace(sign, f" {word} ")
    if language == "en":
        return _WRITTEN_APART.sub(lambda found: _TOGETHER[found[0]], str(_english()(text)))
    text = _PURPOSE.sub("чтобы", text.lower().translate(_APOSTROPHES))
    words = _MARKS.sub(" ", text).split()
    runs = groupby(words, key=lambda word: bool(spoken_digits(word)))
    return " ".join(" ".join(digits_of(run)) if is_number else " ".join(run) for is_number, run in runs)


@cache
def _english() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer  # noqa: PLC0415 - a second, and only for English

    return EnglishTextNormalizer()
