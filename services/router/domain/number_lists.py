"""Lists of numbers that are asked about for every call: VIP, black and the tenant's own (SPEC 2.1, 3.2)."""

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

_ANY_END = "*"


class NumberIndex:
    """A list whose size does not matter: it holds whole numbers, and beginnings that end in *."""

    __slots__ = ("_beginnings", "_lengths", "_numbers")

    def __init__(self, numbers: tn.NumberList) -> None:
        self._numbers = frozenset(entry for entry in numbers.numbers if not entry.endswith(_ANY_END))
        self._beginnings = frozenset(entry[:-1] for entry in numbers.numbers if entry.endswith(_ANY_END))
        self._lengths = sorted({len(beginning) for beginning in self._beginnings})

    def holds(self, number: str) -> bool:
        """Whether a number is in the list, or begins like one of its entries."""
        return number in self._numbers or any(number[:length] in self._beginnings for length in self._lengths)
