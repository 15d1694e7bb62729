"""Who was erased, and whether something names such a person: deliveries, answers, events of the past (SPEC 10.5)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Erased:
    """A person of a tenant, and until when everything that was told of the person is to be forgotten."""

    tenant_id: str
    erasure_id: str
    numbers: tuple[str, ...]
    before_ms: int


@dataclass(slots=True)
class ErasedPersons:
    """All who were erased not long ago, by tenant. A tenant without any costs one look into a table."""

    _known: dict[str, dict[str, tuple[int, re.Pattern[bytes]]]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, persons: Iterable[Erased]) -> None:
        """Know these too."""
        for one in persons:
            self._known[one.tenant_id][one.erasure_id] = (one.before_ms, naming(one.numbers))

    def names(self, tenant_id: str, text: bytes, told_ms: int) -> bool:
        """Whether a text of that moment names an erased person, in any way that the number is written."""
        of_tenant = self._known.get(tenant_id)
        if not of_tenant:
            return False
        return any(told_ms <= before_ms and pattern.search(text) for before_ms, pattern in of_tenant.values())


def naming(numbers: Sequence[str]) -> re.Pattern[bytes]:
    """Return what finds a number that stands alone: not within a longer one, an id or a word."""
    forms = sorted((re.escape(one.removeprefix("+").encode()) for one in numbers), key=len, reverse=True)
    return re.compile(rb"(?<![0-9A-Za-z])\+?(?:" + b"|".join(forms) + rb")(?![0-9A-Za-z])")
