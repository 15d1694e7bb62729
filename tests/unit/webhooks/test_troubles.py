"""Whatever the delivery log can say of a try is told in both languages, by a code that programs can go by."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.adapters.trouble_words import TABLE, troubles
from services.webhooks.domain.trouble import LANGUAGES, OTHER

SERVICES = Path(__file__).resolve().parents[3] / "services"
SAYING = [
    *(SERVICES / "shared" / "outbound").glob("*.py"),
    *(SERVICES / "webhooks" / "adapters" / "channels").glob("*.py"),
    *(SERVICES / "webhooks" / "adapters" / "connectors").glob("*.py"),
    *(SERVICES / "webhooks" / "adapters" / name for name in ("connection.py", "identities.py")),
    *(SERVICES / "webhooks" / name for name in ("dispatcher.py", "erasing.py", "replays.py", "waiting.py")),
    SERVICES / "webhooks" / "domain" / "header.py",
    SERVICES / "webhooks" / "domain" / "payload.py",
    SERVICES / "shared" / "payload_templates.py",
]
MAKERS = {
    "Attempt",
    "attempt_of",
    "NoAnswer",
    "ClosedWhileIdle",
    "NoIdentity",
    "BadUrl",
    "BadHeader",
    "NotSignedIn",
} | {
    "Unwritable",
    "FilledTooLong",
}
NAMES = {"error", "reason", "why", "_HINTS", "SAID_GONE", "FAILED_FOR_DAYS", "FORGOTTEN"}
# Said while a try is prepared or of something else than a try: never the log's.
NOT_OF_TRIES = {"networks must be in CIDR form with commas between: 7"}


def sentences(node: ast.AST) -> Iterator[str]:
    """Yield each text of an expression, with 7 in its places: what is said at both sides of an `or`, too."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
        for part in node.values:
            yield from sentences(part.value) if isinstance(part, ast.FormattedValue) else ()
    elif isinstance(node, ast.BoolOp | ast.IfExp | ast.Dict):
        for child in ast.iter_child_nodes(node):
            yield from sentences(child)


def said(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and (getattr(node.func, "id", "") in MAKERS or _gives_up(node)):
            for argument in [*node.args, *(each.value for each in node.keywords)]:
                yield from sentences(argument)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(name.id in NAMES for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)):
                yield from sentences(node.value)


def _gives_up(node: ast.Call) -> bool:
    return getattr(node.func, "attr", "") == "_give_up"


SAID = {text for path in SAYING for text in said(path) if " " in text.strip()} - NOT_OF_TRIES


def test_the_sentences_are_found() -> None:
    assert len(SAID) > 60
    assert {"no answer in time", "the endpoint answered 7", "the bot's token is wrong", "it answered 7"} <= SAID


@pytest.mark.parametrize("text", sorted(SAID))
def test_each_sentence_of_the_log_has_a_code_and_both_languages(text: str) -> None:
    """A new one needs its entry in services/webhooks/troubles.yaml."""
    found = troubles().of(text)
    assert found.code != OTHER
    assert re.search("[а-яіїєґ]", found.words["uk"])
    assert "{" not in "".join(found.words.values())


def test_the_table_is_whole_and_speaks_both_languages() -> None:
    codes = re.findall(r"^(\w+):$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert codes == troubles().codes
    assert len(set(codes)) == len(codes)
    for kind in troubles()._kinds:
        assert set(kind.words) == set(LANGUAGES)
        assert not kind.advice or set(kind.advice) == set(LANGUAGES), kind.code
        for words in kind.words.values():
            assert set(re.findall(r"\{(\w+)\}", words)) <= set(kind.pattern.groupindex), kind.code


@pytest.mark.parametrize(
    ("text", "code", "ukrainian"),
    [
        ("the endpoint answered 302", "answered_redirect", "відповів 302: за перенаправленнями ми не ходимо"),
        ("the endpoint answered 401", "answered_not_authorized", "відповів 401: не приймає нас за своїх"),
        ("the endpoint answered 503", "answered_its_fault", "відповів 503: це його власна помилка"),
        ("the endpoint answered 418", "answered", "відповів 418; прийнятим вважається лише 2xx"),
        (
            "the token server: the host's name can't be resolved",
            "token_server",
            "сервер токенів: ім’я хоста не має адреси в DNS",
        ),
        ("the host can't be connected to: OSError", "unreachable", "до хоста немає шляху (OSError)"),
        (
            "nothing was done: the event has no customer's number",
            "crm_no_number",
            "нічого не зроблено: номера клієнта немає",
        ),
        (
            "nothing was done: HubSpot's connector has no flow for call.lost",
            "crm_no_flow",
            "нічого не зроблено: конектор HubSpot не знає, що робити з call.lost",
        ),
        ("Zoho answered 500 to find_contact", "crm_answered", "Zoho: відповідь 500 на find_contact"),
        ("something nobody has heard of", OTHER, "something nobody has heard of"),
    ],
)
def test_a_sentence_is_told_with_its_values(text: str, code: str, ukrainian: str) -> None:
    found = troubles().of(text)
    assert (found.code, found.words["uk"]) == (code, ukrainian)


@given(text=st.text(max_size=300))
def test_whatever_is_kept_can_be_told(text: str) -> None:
    told = troubles().of(text).told(with_advice=True)
    assert told["en"] == text if told["code"] == OTHER else told["en"]
