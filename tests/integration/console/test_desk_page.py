"""An agent's page in a true browser: a hostile caller from the ring to the end, and a colleague who is asked."""

from collections.abc import Iterator
from typing import Any

import pytest
from gevent import pywsgi

from services.shared.contracts.ringmaster.v1.event_pb2 import (
    AgentState,
    CallEnded,
    CallStarted,
    OfferCreated,
    Party,
)
from tests.integration.stats.conftest import Eye, eye
from tests.unit.console.conftest import Office, acme, office
from tests.unit.console.test_api import happened
from tests.unit.console.test_own_desk import in_state, open_office, talks

__all__ = ["acme", "eye", "office", "open_office"]

pytestmark = [pytest.mark.browser]

HOSTILE = "<img src=x onerror=alert(1)>"
PHONE = 390
WITHIN_MS = 10_000


@pytest.fixture
def url(open_office: Office) -> Iterator[str]:
    application = open_office.console.application(open_office.supervisor.stopping)
    server = pywsgi.WSGIServer(("127.0.0.1", 0), application, log=None, error_log=None)
    server.start()
    yield f"http://127.0.0.1:{server.server_port}"
    open_office.supervisor.stop()
    server.stop(timeout=0)


def asked(office: Office) -> list[dict[str, Any]]:
    """Return what the router was asked, by name and what it says."""
    found: list[dict[str, Any]] = []
    for request in office.requests():
        kind = request.WhichOneof("request") or ""
        body = getattr(request, kind)
        found.append({kind: {field.name: value for field, value in body.ListFields()}})
    return found


def test_a_colleague_is_asked_first_and_gets_the_caller(eye: Eye, open_office: Office, url: str) -> None:
    open_office.answer_all(refused={"transfer_call": "agent-not-free", "swap_consultation": "not-consulting"})
    eye.do("open", url=f"{url}/login?token=acme-olena&lang=uk")
    eye.do("see", selector="#contact[data-state=live]", ms=WITHIN_MS)
    caller = Party(number="+380501112233", name=HOSTILE)
    happened(open_office, "c-1", call_started=CallStarted(line="+380441000001", caller=caller))
    happened(open_office, "c-1", offer_created=OfferCreated(agent_id="olena", offer_id="o-1"))
    eye.do("see", selector="#call[data-state=offered]", ms=WITHIN_MS)
    assert eye.do("text", selector="#name") == HOSTILE
    talks(open_office)
    in_state(open_office, AgentState.AGENT_STATE_TALKING)
    eye.do("see", selector="#call[data-state=talking] #transfer-form", ms=WITHIN_MS)
    eye.do("find", selector="option[value='agent_id taras']", ms=WITHIN_MS)

    eye.do("choose", selector="[name=target]", value="agent_id taras")
    eye.do("click", selector="[value=transfer]")
    eye.do("wait_text", selector="#notice", text="Не вдалося: колега зараз не вільний.", ms=WITHIN_MS)
    eye.do("click", selector="[value=consult]")
    eye.do("see", selector="#asked", ms=WITHIN_MS)
    eye.do("reload")  # whoever opens the page again still sees that somebody is asked
    eye.do("see", selector="#asked", ms=WITHIN_MS)
    eye.do("click", selector="[data-consult=swap]")
    eye.do(
        "wait_text",
        selector="#notice",
        text="Не вдалося: той, кого ви питаєте, ще не відповів або вже не на лінії.",
        ms=WITHIN_MS,
    )
    eye.do("click", selector="[data-consult=complete]")
    eye.do("see", selector="#transfer-form", ms=WITHIN_MS)
    to_taras = {"call_id": "c-1", "agent_id": "taras"}
    assert asked(open_office) == [
        {"transfer_call": to_taras},
        {"start_consultation": to_taras},
        {"swap_consultation": {"call_id": "c-1"}},
        {"complete_consultation": {"call_id": "c-1"}},
    ]

    in_state(open_office, AgentState.AGENT_STATE_WRAP_UP)
    happened(open_office, "c-1", call_ended=CallEnded(agent_id="olena"))
    eye.do("see", selector="#call[data-state=over]", ms=WITHIN_MS)
    for scheme in ("light", "dark"):
        eye.do("scheme", scheme=scheme)
        eye.do("size", width=PHONE, height=844)
        assert eye.do("width") <= PHONE
    assert [one for one in eye.do("faults") if "status of 4" not in one] == []
