"""Sentences for people that can be said in another language: each keeps the words and values that it was made of."""

from collections.abc import Mapping


class Sentence(str):
    """A sentence in English. `template` is the same with places in braces, which translations go by (as in gettext)."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, str]


def sentence(template: str, /, **values: object) -> Sentence:
    """Fill a template's places."""
    made = Sentence(template.format(**values))
    made.template, made.values = template, {name: str(value) for name, value in values.items()}
    return made
