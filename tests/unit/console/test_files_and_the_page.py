"""A company's file and the page change the same rules and endpoints: neither undoes the other unseen (ADR 35)."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.adapters.memory import MemoryTenantStore
from services.console.domain.merging import merged, parts_of
from services.console.publishing import Publisher
from services.console.tenancy import ChangedOnThePage, Tenancy
from services.shared.chassis.clock import Clock
from services.shared.testing.memory_bus import MemoryBus

Document = dict[str, Any]
FILE, PAGE = "command-line", "olena"
_RULES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["one", "two", "three"]))


def rules(of: dict[str, str]) -> Document:
    return {"rules": [{"rule_id": rule_id, "name": name} for rule_id, name in of.items()], "webhooks": []}


def names(document: Document) -> dict[str, str]:
    return {one["rule_id"]: one["name"] for one in document.get("rules", ())}


@given(_RULES, _RULES, _RULES)
def test_each_side_has_what_it_alone_has_changed_and_both_are_asked_where_both_have(
    file: dict[str, str], former: dict[str, str], now: dict[str, str]
) -> None:
    found = merged(rules(file), rules(former), rules(now))
    clashes = {entry.entry_id for entry in found.clashes}
    for rule_id in file | former | now:
        mine, base, theirs = file.get(rule_id), former.get(rule_id), now.get(rule_id)
        is_in_dispute = mine != theirs and base not in (mine, theirs)
        assert (rule_id in clashes) is is_in_dispute
        if not is_in_dispute:
            assert names(found.document).get(rule_id) == (mine if theirs == base else theirs)
    assert {entry.entry_id for entry in found.kept} == {
        rule_id for rule_id in file | former | now if file.get(rule_id) == former.get(rule_id) != now.get(rule_id)
    }
    if file == former:
        assert names(found.document) == now
    if now == former:
        assert names(found.document) == file


@pytest.fixture
def acme(acme: Document) -> Document:
    return {name: value for name, value in acme.items() if name != "rules"}


@pytest.fixture
def tenancy() -> Tenancy:
    clock, store = Clock.from_environment({}), MemoryTenantStore()
    return Tenancy(store, Publisher(store, MemoryBus(partitions=1).producer(), clock), clock)


def by_file(tenancy: Tenancy, file: Document) -> tuple[str, ...]:
    found = tenancy.upon_the_page(file, FILE)
    tenancy.apply(found.document, FILE, filed=parts_of(file))
    return found.kept


def by_page(tenancy: Tenancy, name: str, rule_id: str = "late") -> None:
    document = copy.deepcopy(tenancy.version("acme").document)
    document["rules"] = [one for one in document.get("rules", ()) if one["rule_id"] != rule_id]
    document["rules"] += [rule(rule_id, name)] if name else []
    tenancy.apply(document, PAGE)


def rule(rule_id: str, name: str) -> Document:
    return {"rule_id": rule_id, "name": name, "events": ["call.lost"], "actions": [{"to": "receiver"}]}


def in_force(tenancy: Tenancy) -> dict[str, str]:
    return names(tenancy.version("acme").document)


def test_an_upgrade_keeps_what_was_made_and_changed_on_the_page_and_says_who_did(
    tenancy: Tenancy, acme: Document
) -> None:
    file = acme | {"rules": [rule("late", "as filed"), rule("gone", "as filed")]}
    assert by_file(tenancy, file) == ()
    by_page(tenancy, "as on the page")
    by_page(tenancy, "made there", "new")
    by_page(tenancy, "", "gone")
    for _ in range(2):
        kept = by_file(tenancy, file | {"name": "Acme anew"})
        assert in_force(tenancy) == {"late": "as on the page", "new": "made there"}
        assert kept == (
            "rules[late]: olena has changed it (version 2); it stays so.",
            "rules[gone]: olena has taken it out (version 4); it stays so.",
            "rules[new]: olena has changed it (version 3); it stays so.",
        )
    assert (tenancy.version("acme").number, tenancy.version("acme").document["name"]) == (5, "Acme anew")


def test_what_both_have_changed_is_refused_until_they_agree(tenancy: Tenancy, acme: Document) -> None:
    by_file(tenancy, acme | {"rules": [rule("late", "as filed")]})
    by_page(tenancy, "as on the page")
    for file in (acme | {"rules": [rule("late", "filed anew")]}, acme):
        with pytest.raises(ChangedOnThePage) as refused:
            by_file(tenancy, file)
        assert refused.value.lines == ["rules[late]: olena has changed it (version 2), and the file changes it too."]
    assert tenancy.version("acme").number == 2
    agreed = acme | {"rules": [rule("late", "as on the page")]}
    assert by_file(tenancy, agreed) == ()
    assert tenancy.version("acme").number == 2
    by_file(tenancy, acme)  # the file has it as it is, so it may take it out now
    assert in_force(tenancy) == {}


def test_a_file_that_is_put_whole_in_force_is_what_the_next_one_is_held_against(
    tenancy: Tenancy, acme: Document
) -> None:
    file = acme | {"rules": [rule("late", "as filed")]}
    by_file(tenancy, file)
    by_page(tenancy, "as on the page")
    tenancy.apply(file, FILE, filed=parts_of(file))
    assert in_force(tenancy) == {"late": "as filed"}
    assert by_file(tenancy, acme) == ()
    assert in_force(tenancy) == {}


def test_a_company_whose_document_no_file_has_made_loses_nothing_by_its_first_one(
    tenancy: Tenancy, acme: Document
) -> None:
    tenancy.apply(acme | {"rules": [rule("late", "over the API")]}, "api")
    assert by_file(tenancy, acme) == ("rules[late]: api has changed it (version 1 or before); it stays so.",)
    with pytest.raises(ChangedOnThePage):
        by_file(tenancy, acme | {"rules": [rule("late", "as filed")]})
