"""Numbers as people say them, in Ukrainian, Russian and English: what a redaction has to find beside written digits.

Only the digits matter, as somebody who dictates a card or a telephone number says them: in ones, tens and hundreds.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_UNITS: Final = {
    "0": "zero oh нуль ноль нульова",
    "1": "one один одна одне одно раз єдиниця единица перший первый",
    "2": "two два дві две двійка двойка double подвійний двойной",
    "3": "three три трійка тройка triple потрійний тройной",
    "4": "four чотири четыре четвірка четверка",
    "5": "five п'ять пять п'ятірка пятерка",
    "6": "six шість шесть шістка шестерка",
    "7": "seven сім семь сімка семерка",
    "8": "eight вісім восемь вісімка восьмерка",
    "9": "nine дев'ять девять дев'ятка девятка",
}
_LARGER: Final = {
    "10": "ten десять",
    "11": "eleven одинадцять одиннадцать",
    "12": "twelve дванадцять двенадцать",
    "13": "thirteen тринадцять тринадцать",
    "14": "fourteen чотирнадцять четырнадцать",
    "15": "fifteen п'ятнадцять пятнадцать",
    "16": "sixteen шістнадцять шестнадцать",
    "17": "seventeen сімнадцять семнадцать",
    "18": "eighteen вісімнадцять восемнадцать",
    "19": "nineteen дев'ятнадцять девятнадцать",
    "20": "twenty двадцять двадцать",
    "30": "thirty тридцять тридцать",
    "40": "forty сорок",
    "50": "fifty п'ятдесят пятьдесят",
    "60": "sixty шістдесят шестьдесят",
    "70": "seventy сімдесят семьдесят",
    "80": "eighty вісімдесят восемьдесят",
    "90": "ninety дев'яносто девяносто",
    "100": "hundred сто",
    "200": "двісті двести",
    "300": "триста",
    "400": "чотириста четыреста",
    "500": "п'ятсот пятьсот",
    "600": "шістсот шестьсот",
    "700": "сімсот семьсот",
    "800": "вісімсот восемьсот",
    "900": "дев'ятсот девятьсот",
}
_DIGITS: Final = {
    word: digits for table in (_UNITS, _LARGER) for digits, words in table.items() for word in words.split()
}
_APOSTROPHES: Final = str.maketrans(dict.fromkeys("’ʼ`´ʹ", "'") | {"ё": "е"})
_BETWEEN_DIGITS: Final = re.compile(r"[\s().,+/–—-]")
_TEN, _TWENTY, _HUNDRED = 10, 20, 100
_EDGES: Final = re.compile(r"^[^\w@+]+|[^\w@]+$")


def plain(text: str) -> str:
    """Return a word in small letters, without marks at its ends, all apostrophes alike."""
    return _EDGES.sub("", text.lower().translate(_APOSTROPHES))


def spoken_digits(text: str) -> str:
    """Return the digits that a word carries: "42" for 42 and forty-two, "" for any other word."""
    return digits_of([text])


def digits_of(texts: Iterable[str]) -> str:
    """Return the digits of words that stand one behind the other: «сто двадцять три сорок» is 12340."""
    digits: list[str] = []
    last_value = 0
    for text in texts:
        for part, is_spoken in _parts(text):
            value = int(part)
            if is_spoken and _belongs_to(last_value, value):
                digits[-1] = str(int(digits[-1]) + value)
            else:
                digits.append(part)
            last_value = value if is_spoken else 0
    return "".join(digits)


def _belongs_to(before: int, value: int) -> bool:
    """Whether a spoken value goes on with the one before: forty two, сто двадцять, but not ten two."""
    if before >= _HUNDRED:
        return 0 < value < _HUNDRED
    return before >= _TWENTY and 0 < value < _TEN


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Yield a word's digits and whether they were spoken; nothing for a word that carries none."""
    word = plain(text)
    written = _BETWEEN_DIGITS.sub("", word)
    if written.isdecimal():
        yield "".join(str(int(digit)) for digit in written), False
        return
    found = [_DIGITS.get(part, "") for part in word.split("-")]
    if all(found):
        yield from ((part, True) for part in found)
