"""Facts of agents share documents by time: fewer, larger writes, and the same rows."""

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.stats.documents import add_to
from services.stats.domain.facts.kept import AGENT_FACTS, AGENTS_TOGETHER_MS, CALLBACKS, MOST_FACTS, change_of
from services.stats.domain.facts.others import rows_of
from services.stats.store import CallFields, FactFields
from tests.unit.stats.events import columns_here, event

AT_MS = 1_795_435_200_000


def _told(agent_id: str, sequence: int, at_ms: int = AT_MS) -> ev.Event:
    body = ev.AgentStateChanged(
        agent_id=agent_id, state=ev.AGENT_STATE_IDLE, former_state=ev.AGENT_STATE_TALKING, former_ms=4_000
    )
    return event(at_ms, sequence, agent_state_changed=body)


def _written(*events: ev.Event) -> FactFields:
    calls, facts = CallFields(), FactFields()
    for offset, each in enumerate(events, 1):
        add_to(each, offset, calls, facts)
    return facts


def test_facts_of_one_moment_share_a_document_whatever_the_agents_are_called() -> None:
    agents = ("olena.k", "olena%2ek", "$taras", "olena:1", "ірина")
    told = [_told(agent_id, number) for number, agent_id in enumerate(agents, 1)]
    facts = _written(*told, *told)
    assert len(facts) == 1
    ((collection, _, _), fields), *_ = facts.items()
    assert collection == AGENT_FACTS
    document = {"facts": {name.removeprefix("facts."): each for name, each in fields.items() if "facts." in name}}
    assert all("." not in name and "$" not in name for name in document["facts"])
    assert sorted(row["agent_id"] for row in rows_of(AGENT_FACTS, document)["agent_states"]) == sorted(agents)


def test_what_decides_a_call_is_kept_whatever_the_number_of_its_fact() -> None:
    over = event(AT_MS, MOST_FACTS + 1, "c1", call_ended=ev.CallEnded(exit=ev.CALL_EXIT_ANSWERED))
    missed = event(AT_MS, MOST_FACTS + 1, "c1", offer_missed=ev.OfferMissed(offer_id="o1"))
    assert change_of(over) is not None
    assert change_of(missed) is None


def test_a_callback_has_one_spelling_of_its_number_whatever_the_carrier_wrote() -> None:
    told = {"queue_id": "", "number": "0671112233"}
    facts = {
        "00001": {"k": "callback_requested", "t": 1, "line": "+380441000001", **told},
        "00002": {"k": "callback_attempted", "t": 2, "attempt": 1, "agent_id": "olena", **told},
    }
    rows = rows_of(CALLBACKS, {"callback_id": "b1", "facts": facts})
    assert [row["client"] for table in rows.values() for row in table] == ["+380671112233"] * 2


def test_another_time_is_another_document_and_a_late_repeat_changes_nothing() -> None:
    first, later = _told("olena", 1), _told("olena", 2, AT_MS + AGENTS_TOGETHER_MS)
    once, twice = _written(first, later), _written(first, later, first)
    assert len(once) == 2

    def facts_of(written: FactFields) -> list[dict[str, object]]:
        return [{name: each for name, each in fields.items() if name != "rev"} for fields in written.values()]

    assert facts_of(once) == facts_of(twice)


def test_a_fact_in_its_former_document_and_in_a_shared_one_is_one_row() -> None:
    columns = columns_here()
    ((_, fields),) = _written(_told("olena", 1)).items()
    ((name, fact),) = ((name, each) for name, each in fields.items() if name.startswith("facts."))
    rows = rows_of(AGENT_FACTS, fact)["agent_states"] + rows_of(AGENT_FACTS, {"facts": {name: fact}})["agent_states"]
    columns.put("acme", AGENT_FACTS, {"agent_states": rows}, 1)
    assert columns._cursor("acme").execute("select count(*) from agent_states").fetchone() == (1,)
    columns.close()
