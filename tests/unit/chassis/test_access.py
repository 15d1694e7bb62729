from hashlib import sha256
from typing import Any

import pytest

from services.shared.access import Action, BadTokens, Principal, Role, tokens_of

DIGEST = sha256(b"secret").hexdigest()
ENTRY = {"tenant": "acme", "role": "agent", "actor": "olena"}


def test_a_token_is_known_by_its_digest_only() -> None:
    tokens = tokens_of({DIGEST: ENTRY})
    assert tokens.holder("secret") == Principal("acme", Role.AGENT, "olena")
    assert tokens.holder("Secret") is None
    assert tokens.holder(DIGEST) is None
    assert tokens.holder("\udcff") is None


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"secret": ENTRY},
        {DIGEST.upper(): ENTRY},
        {DIGEST: {**ENTRY, "role": "boss"}},
        {DIGEST: {**ENTRY, "tenant": "*"}},
        {DIGEST: {**ENTRY, "actor": ""}},
        {DIGEST: {**ENTRY, "more": "x"}},
        {DIGEST: {"tenant": "acme", "role": "admin"}},
        {DIGEST: {**ENTRY, "tenant": None}},
    ],
)
def test_a_bad_file_of_tokens_is_refused_without_showing_a_token(document: Any) -> None:
    with pytest.raises(BadTokens) as raised:
        tokens_of(document)
    assert DIGEST not in str(raised.value)
    assert "secret" not in str(raised.value)


# Who may do what, written down from SPEC 5.3: admin everything, supervisor runs the floor and says by rules what is
# told to whom, agent himself, analyst looks, integration looks and acts for a CRM.
READING = {Action.READ_DOCUMENT, Action.READ_LIVE, Action.READ_CALLS, Action.LISTEN}
FLOOR = {Action.ACT_FOR_AGENT, Action.CONTROL_CALL, Action.SUPERVISE_CALL}
CALLING_BACK = {Action.ASK_CALLBACK, Action.MANAGE_CALLBACKS}
PERMITTED = {
    Role.ADMIN: set(Action),
    Role.SUPERVISOR: FLOOR
    | CALLING_BACK
    | READING
    | {Action.MANAGE_DELIVERIES, Action.MANAGE_RECORDINGS, Action.CHANGE_RULES},
    Role.AGENT: {Action.ACT_FOR_AGENT, Action.CONTROL_CALL, Action.READ_PHONE, Action.ASK_CALLBACK},
    Role.ANALYST: READING,
    Role.INTEGRATION: {Action.ACT_FOR_AGENT, Action.CONTROL_CALL, Action.MANAGE_DELIVERIES} | CALLING_BACK | READING,
}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_the_table_says_and_only_in_its_tenant(role: Role) -> None:
    principal = Principal("acme", role, "x")
    assert {action for action in Action if principal.may(action, "acme")} == PERMITTED[role]
    assert not any(principal.may(action, "borealis") for action in Action)
    assert not any(principal.may(action, "*") for action in Action)


def test_an_agent_acts_for_himself_only() -> None:
    assert Principal("acme", Role.AGENT, "olena").is_only("olena")
    assert not Principal("acme", Role.AGENT, "olena").is_only("taras")
    assert Principal("acme", Role.SUPERVISOR, "sofia").is_only("taras")
