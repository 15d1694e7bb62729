"""Tokens of CRMs: refreshed by one process of several, outliving kills, and told apart from refusals (SPEC 7.5)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gevent
import pytest

from services.webhooks.adapters.connectors import sign_in
from services.webhooks.adapters.connectors.sign_in import CLAIM_SECONDS, MemoryTokenStore, NotSignedIn, Tokens
from services.webhooks.domain.connectors.description import SignIn
from services.webhooks.domain.outcome import Verdict
from services.webhooks.waiting import StoreUnavailable
from tests.contract.connectors.tenant import OAUTH, Crm, ended, is_delivered

SIGN_INS = ["kommo", "hubspot"]
"""One gives each refresh token for one use, the other keeps it."""
OTHERS: list[Crm] = []
"""Processes beside the first one."""


@pytest.fixture(params=SIGN_INS)
def crm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    monkeypatch.setattr(sign_in, "LOOK_SECONDS", 0.02)
    crm = Crm(request.param)
    OTHERS.clear()
    yield crm
    for one in [crm, *OTHERS]:
        one.connection.close()
    crm.fake.stop()


def other_process(crm: Crm) -> Crm:
    """Return another process of the same tenant's: it shares what is stored, and nothing in memory."""
    other = Crm(crm.name)
    other.fake.stop()
    other.fake, other.store, other.steps = crm.fake, crm.store, crm.steps
    other.restart()
    OTHERS.append(other)
    return other


def test_of_several_processes_one_refreshes_and_all_sign_in(crm: Crm) -> None:
    crm.fake.pause = 0.05
    processes = [crm, *(other_process(crm) for _ in range(4))]
    for round_ in range(3):
        crm.fake.access = set()  # all of them find theirs over at the same time
        tries = [gevent.spawn(one.carry, ended(10 * round_ + number)) for number, one in enumerate(processes)]
        gevent.joinall(tries, timeout=20)
        assert [one.value.error for one in tries] == [""] * 5
        assert crm.fake.refreshed == round_ + 1
    assert crm.fake.refused == 0


def test_a_process_that_was_away_takes_the_token_that_another_one_got(crm: Crm) -> None:
    other = other_process(crm)
    assert is_delivered(crm.carry(ended(1)))
    assert is_delivered(other.carry(ended(2)))
    for number in range(3):  # each time the first one refreshes, and what the second one has is old
        crm.fake.access = set()
        assert is_delivered(crm.carry(ended(10 + number)))
        assert is_delivered(other.carry(ended(20 + number)))
    assert (crm.fake.refreshed, crm.fake.refused) == (4, 0)


def test_a_claim_of_a_killed_process_ends_by_itself(crm: Crm) -> None:
    now = 1_000.0
    tokens = Tokens(crm.store, lambda: now, patience_seconds=0.0)
    crm.store.claim(crm.endpoint.key, now, now + CLAIM_SECONDS)
    crm.engine = replace_tokens(crm, tokens)
    refused = crm.carry(ended(1))
    assert (refused.verdict, refused.error) == (
        Verdict.RETRY,
        "another process is signing in and has not got a token yet",
    )
    now += CLAIM_SECONDS + 1
    assert is_delivered(crm.carry(ended(1)))


def replace_tokens(crm: Crm, tokens: Tokens) -> Any:
    return replace(crm.engine, tokens=tokens)


def test_a_token_that_ends_between_two_steps_is_refreshed_and_the_steps_go_on(crm: Crm) -> None:
    """It is refused in the middle of a delivery, at each of its requests in turn."""
    assert is_delivered(crm.carry(ended(1)))
    steps = len(crm.fake.requests)
    for step in range(1, steps):
        crm.fake.end_access_at = len(crm.fake.requests) + step - 1
        assert crm.carry(ended(100 + step, caller=f"+38067111{step:04}")).error == ""
    assert sorted(crm.fake.contacts()) == sorted(
        ["+380671112233", *(f"+38067111{step:04}" for step in range(1, steps))]
    )
    assert len(crm.fake.calls()) == steps


def test_a_sign_in_that_is_busy_is_waited_for_and_one_that_refuses_is_said(crm: Crm) -> None:
    crm.fake.refuse_token = (429, "33")
    attempt = crm.carry(ended(1))
    assert (attempt.status, attempt.retry_after, attempt.verdict) == (429, 33.0, Verdict.RETRY)
    assert attempt.error == "signing in was answered 429: it is tried again"
    crm.fake.refuse_token = (503, "")
    assert crm.carry(ended(1)).error == "signing in was answered 503: it is tried again"
    crm.fake.refuse_token = (400, "")
    assert crm.carry(ended(1)).error == "signing in was answered 400: authorise the connection anew"
    crm.fake.refuse_token = None
    assert is_delivered(crm.carry(ended(1)))
    assert crm.fake.refreshed == 1


class Away(MemoryTokenStore):
    """A store that is away while it is told to be."""

    is_away = False

    def save(self, key: str, sealed: bytes) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        super().save(key, sealed)


def test_a_token_of_one_use_that_could_not_be_kept_is_kept_at_its_next_use() -> None:
    crm = Crm("kommo")
    crm.store = store = Away()
    crm.restart()
    store.is_away = True
    assert is_delivered(crm.carry(ended(1)))
    assert store.kept == {}
    store.is_away = False
    assert is_delivered(crm.carry(ended(2)))
    crm.restart()
    assert is_delivered(crm.carry(ended(3)))
    assert (crm.fake.refreshed, crm.fake.refused) == (1, 0)
    crm.connection.close()
    crm.fake.stop()


def test_a_clients_own_token_is_got_anew_when_it_is_refused() -> None:
    """OAuth 2.0's client credentials (RFC 6749, 4.4) know no refresh token; the token may end before its time."""
    crm = Crm("hubspot")
    crm.secret.pop("refresh_token")
    connector = crm.engine.library["hubspot"]
    wish = SignIn("oauth2_client", connector.sign_in.token_url)
    crm.engine = replace(crm.engine, library={"hubspot": replace(connector, sign_in=wish)})
    crm.fake.grant = "client_credentials"
    assert is_delivered(crm.carry(ended(1)))
    crm.fake.access = set()
    assert is_delivered(crm.carry(ended(2)))
    assert crm.fake.refreshed == 2
    crm.connection.close()
    crm.fake.stop()


def test_who_reads_the_store_can_not_sign_in(crm: Crm) -> None:
    assert is_delivered(crm.carry(ended(1)))
    kept = b"".join(crm.store.kept.values())
    assert kept
    assert not any(word in kept for word in (b"access", b"refresh-", OAUTH["client_secret"].encode()))
    thief = Tokens(crm.store)
    with pytest.raises(NotSignedIn):
        thief.access(
            crm.endpoint.key, SignIn("oauth2_refresh"), "http://127.0.0.1:1/", {"refresh_token": "x"}, crm.connection
        )
