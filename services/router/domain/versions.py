"""Which versions of a tenant's document are kept: the one in force, and those that calls began with (SPEC 1.2)."""

from services.router.domain.state import TenantState
from services.router.domain.turn import Turn


def hold(state: TenantState, version: int) -> None:
    """Keep a version for one call more."""
    state.calls_of_version[version] = state.calls_of_version.get(version, 0) + 1


def release(turn: Turn, version: int) -> None:
    """Let a call that is over need its version no more."""
    counts = turn.state.calls_of_version
    counts[version] -= 1
    if not counts[version]:
        del counts[version]
        drop_unused(turn, version)


def drop_unused(turn: Turn, version: int) -> None:
    """Forget a version by which no call goes; a domain waits for the reception's word, whose callers may still come."""
    state = turn.state
    if version == state.version or version in state.calls_of_version or version not in state.documents:
        return
    if state.domain and version not in state.over:
        return
    del state.documents[version], state.configurations[version]
    if state.domain:
        state.over.remove(version)
    for domain in state.domains:
        turn.pass_on(domain).document_over.version = version


def over(turn: Turn, version: int) -> None:
    """Take note that no caller comes any more who goes by a version."""
    if version in turn.state.documents:
        turn.state.over.append(version)
        drop_unused(turn, version)
