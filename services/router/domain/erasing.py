"""Forgetting a person by number (SPEC 10.5, ADR 26).

Nobody is erased who is on the line: the request is refused, and asked again when the call is over. So an erasure
reaches whole calls, and nothing that is told of one comes after it but what says no number. A customer who waits to be
called back, and whom nobody dials yet, is no call: the task is given up.

The router answers twice. It tells at once that a person is to be forgotten; that it has forgotten the person itself it
tells when its shell says that a snapshot is kept which was taken after this.
"""

from collections.abc import Mapping

from services.router.domain.callbacks import campaign, planning
from services.router.domain.state import TenantState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1.input_pb2 import PersonForgotten, PersonForgottenThere

SERVICE = "router"
ERASED = "erased"
TRY_AGAIN_MS = 30_000
Answer = tuple[str, str]
_ACCEPTED: Answer = ("", "")


def erase(turn: Turn, request: rq.Request) -> Answer:
    """Forget a person, and have the other services do so. Asked twice it is one erasure."""
    asked, state = request.erase_person, turn.state
    numbers = frozenset(filter(None, asked.numbers))
    if not numbers or not asked.erasure_id:
        return "not-a-number", "This is not a telephone number; write it as E.164, with + and the country's code."
    if asked.erasure_id in state.erasing:
        return _ACCEPTED
    if _is_on_the_line(state, numbers) and state.domain:
        _postpone(turn, asked)
        return _ACCEPTED
    if _is_on_the_line(state, numbers):
        return "person-on-the-line", "This person is on the line, or is being called; ask again when the call is over."
    removed = {
        "callbacks": _give_up_callbacks(turn, numbers),
        "campaign_contacts": campaign.forget(turn, numbers),
        "last_agents": _drop_all(state.familiar, numbers),
        "kept_places": sum(_drop_all(memory.abandoned, numbers) for memory in state.queues.values()),
        "ended_calls": _blank_ended(state, numbers),
    }
    kept = {kind: n for kind, n in removed.items() if n}
    state.erasing[asked.erasure_id] = [asked.sealed_numbers.hex(), kept, ["", *state.domains]]
    turn.forgets = True
    for domain in state.domains:
        turn.pass_on(domain).input.request.CopyFrom(request)
    if state.domain:
        return _ACCEPTED
    body = turn.subject_event(_subject(asked.erasure_id)).person_erasure_requested
    body.erasure_id, body.person, body.sealed_numbers = asked.erasure_id, asked.person, asked.sealed_numbers
    body.actor = request.actor
    return _ACCEPTED


def forgotten(turn: Turn, told: PersonForgotten) -> None:
    """Tell that nothing of a person is left here, once; told again it changes nothing."""
    _done(turn, told.erasure_id, "", {})


def forgotten_there(turn: Turn, domain: str, told: PersonForgottenThere) -> None:
    """Take note that a domain has forgotten a person."""
    _done(turn, told.erasure_id, domain, told.removed)


def try_again(turn: Turn, erasure_id: str) -> None:
    """Forget a person who was on a domain's line when that was asked."""
    actor, person, sealed, *numbers = turn.state.postponed.pop(erasure_id)
    request = rq.Request(actor=actor)
    request.erase_person.erasure_id, request.erase_person.person = erasure_id, person
    request.erase_person.sealed_numbers = bytes.fromhex(sealed)
    request.erase_person.numbers.extend(numbers)
    erase(turn, request)


def _postpone(turn: Turn, asked: rq.ErasePerson) -> None:
    """Come back when the person may have hung up: the reception has agreed, which did not know of the call yet."""
    turn.state.postponed[asked.erasure_id] = ["", asked.person, asked.sealed_numbers.hex(), *asked.numbers]
    turn.set_timer("erase", asked.erasure_id, TRY_AGAIN_MS)


def _done(turn: Turn, erasure_id: str, domain: str, removed_there: Mapping[str, int]) -> None:
    """Take note that a log has forgotten a person; when the last one has, it is told."""
    kept = turn.state.erasing.get(erasure_id)
    if kept is None:
        return
    _, removed, *awaited = kept
    waits = awaited[0] if awaited else [""]
    for kind, number in sorted(removed_there.items()):
        removed[kind] = removed.get(kind, 0) + number
    if domain in waits:
        waits.remove(domain)
    if not waits:
        del turn.state.erasing[erasure_id]
        _tell_forgotten(turn, erasure_id, removed)


def _tell_forgotten(turn: Turn, erasure_id: str, removed: dict[str, int]) -> None:
    if turn.state.domain:
        there = turn.pass_on("").person_forgotten
        there.erasure_id = erasure_id
        there.removed.update(removed)
        return
    body = turn.subject_event(_subject(erasure_id)).person_erased
    body.erasure_id, body.service = erasure_id, SERVICE
    body.removed.update(removed)
    del turn.state.sequences[_subject(erasure_id)]


def open_erasures(state: TenantState) -> list[PersonForgotten]:
    """Return what the shell is to bring back for each person whom a snapshot of this state does not know any more."""
    return [
        PersonForgotten(erasure_id=erasure_id, sealed_numbers=bytes.fromhex(str(sealed)))
        for erasure_id, (sealed, _, *awaited) in state.erasing.items()
        if not awaited or "" in awaited[0]
    ]


def _is_on_the_line(state: TenantState, numbers: frozenset[str]) -> bool:
    """Whether a call of the person goes on, has its last legs yet, or rings somebody for the person."""
    if any(call.caller_number in numbers for call in state.calls.values() if call.sequence or call.dialled_ms):
        return True
    if any(away.number in numbers for away in state.away.values()):
        return True
    if any(transfer.to_number in numbers for transfer in state.transfers.values()):
        return True
    if any(str(number) in numbers for number, _ in state.metered.values()):
        return True
    over = {ended.call_id for ended in state.ended.values() if ended.caller_number in numbers}
    return any(leg.call_id in over for leg in state.legs.values())


def _give_up_callbacks(turn: Turn, numbers: frozenset[str]) -> int:
    state = turn.state
    tasks = [state.callbacks[each] for number in sorted(numbers) for each in state.callbacks_of.get(number, ())]
    for task in tasks:
        planning.cancel(turn, task, ERASED)
    return len(tasks)


def _drop_all(memory: dict[str, list[int]] | dict[str, list[int | str]], numbers: frozenset[str]) -> int:
    return sum(memory.pop(number, None) is not None for number in sorted(numbers))


def _blank_ended(state: TenantState, numbers: frozenset[str]) -> int:
    """Leave of calls that ended what late facts need, without who called."""
    found = [ended for ended in state.ended.values() if ended.caller_number in numbers]
    for ended in found:
        ended.caller_number = ended.caller_name = ended.email = ""
    return len(found)


def _subject(erasure_id: str) -> str:
    return f"erasure:{erasure_id}"
