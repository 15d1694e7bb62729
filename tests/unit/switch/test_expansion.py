"""Arguments are expanded as the switch expands them."""

import pytest

from local.switch.expansion import expand

VALUES = {"uuid": "u-1", "name": "uuid", "nested": "${uuid}!", "loop": "${loop}"}


def expanded(text: str) -> str:
    return expand(text, lambda name: VALUES.get(name, ""), lambda name, argument: f"<{name}|{argument}>")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain $ text", "plain $ text"),
        ("leg ${uuid}", "leg u-1"),
        ("${unknown}", ""),
        ("${${name}}", "u-1"),
        ("${nested}", "u-1!"),
        ("${sched_api(+5 ${uuid} uuid_kill ${uuid})}", "<sched_api|+5 u-1 uuid_kill u-1>"),
        (r"\${uuid}", "${uuid}"),
        (r"a\\b", r"a\b"),
        (r"\d+", r"\d+"),
        ("${open", ""),
    ],
)
def test_an_argument_is_expanded(text: str, result: str) -> None:
    assert expanded(text) == result


def test_a_variable_that_names_itself_ends() -> None:
    assert expanded("${loop}") == "${loop}"
