from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.number_lists import NumberIndex
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DIGITS = st.text("0123", min_size=1, max_size=5)


@given(entries=st.lists(st.tuples(DIGITS, st.booleans())), number=DIGITS)
def test_a_list_holds_what_equals_an_entry_or_begins_like_one_with_a_star(
    entries: list[tuple[str, bool]], number: str
) -> None:
    numbers = [f"+{digits}*" if is_open else f"+{digits}" for digits, is_open in entries]
    expected = any(
        f"+{number}".startswith(f"+{digits}") if is_open else digits == number for digits, is_open in entries
    )
    assert NumberIndex(tn.NumberList(numbers=numbers)).holds(f"+{number}") == expected


def test_an_empty_list_holds_nobody() -> None:
    assert not NumberIndex(tn.NumberList()).holds("+380441234567")
