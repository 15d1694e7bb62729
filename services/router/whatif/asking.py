"""The question: what would have been different? One log, two plays, one comparison."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from services.router.whatif.changes import as_it_was
from services.router.whatif.history import Reader
from services.router.whatif.log_file import Logged
from services.router.whatif.playing import Change, Play
from services.router.whatif.tally import Tally

FIGURES = (
    "callers",
    "answered",
    "abandoned",
    "service_level",
    "mean_wait_seconds",
    "p90_wait_seconds",
    "occupancy",
)
ALL = "all"


class NothingToPlay(Exception):
    """The log has no document, or no caller. One sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class Period:
    """Callers who joined a queue between two moments are counted, milliseconds since 1970 UTC."""

    from_ms: int = 0
    until_ms: int = 1 << 62


def compare(tenant_id: str, inputs: Iterable[Logged], change: Change, period: Period) -> dict[str, Any]:
    """Return the figures as they were, played as it was, and played otherwise.

    "was" comes from the log alone. "played" is the same day in the simulation under the same document: how near it
    comes to "was" tells how far "changed" can be trusted. What the change does is "changed" against "played". Callers
    who still waited when the log ends are played, and not counted.
    """
    was = Tally(period.from_ms, period.until_ms)
    known = list(inputs)
    history = Reader(tenant_id, was).read(known)
    last_ms = max((one.time_ms for one in known), default=0)
    if not any(given.HasField("document") for _, given in history.timeline):
        raise NothingToPlay(f"the log holds no document of tenant {tenant_id}: it must begin before the first one")
    if not history.visits:
        raise NothingToPlay(f"the log holds no call of tenant {tenant_id}")
    until_ms = min(period.until_ms, last_ms + 1)
    played, changed = (
        Play(tenant_id, history, each, Tally(period.from_ms, until_ms, frozenset(was.counted))).run()
        for each in (as_it_was, change)
    )
    waits = [visit for visit in history.visits.values() if visit.waits_from_ms]
    return {
        "tenant_id": tenant_id,
        "calls": len(history.visits),
        "waited": len(waits),
        "patience_known": sum(visit.gave_up for visit in waits),
        "unread_legs": history.unread,
        "was": was.figures(),
        "played": played.figures(),
        "changed": changed.figures(),
    }


def shadow(
    tenant_id: str, news: Callable[[], Iterable[Logged]], change: Change, period: Period
) -> Iterator[dict[str, Any] | str]:
    """Yield the comparison over all that `news` has brought so far, each time that the next one is asked for.

    The live stream beside a document that is not in force: nothing is decided for anybody. Where there is nothing to
    play yet a sentence comes instead. All of the log is played each time, since the figures of everybody depend on
    everybody before.
    """
    known: list[Logged] = []
    while True:
        known += news()
        try:
            yield compare(tenant_id, known, change, period)
        except NothingToPlay as error:
            yield str(error)


def table(found: dict[str, Any]) -> str:
    """Return a comparison as a table for people."""
    calls, waited, gave_up = (found[key] for key in ("calls", "waited", "patience_known"))
    lines = [f"Tenant {found['tenant_id']}: {calls} calls, {waited} of them waited, {gave_up} gave up"]
    if found["unread_legs"]:
        lines.append(
            f"{found['unread_legs']} legs of the log were ordered by nobody: it does not begin where the tenant's "
            "state began, or an older core decided; the figures are doubtful"
        )
    lines.append(f"{'':32}{'was':>12}{'played':>12}{'changed':>12}{'difference':>12}")
    queue_ids = sorted({queue_id for kind in ("was", "played", "changed") for queue_id in found[kind]["queues"]})
    for queue_id in queue_ids:
        rows = [found[kind]["queues"].get(queue_id, {}) for kind in ("was", "played", "changed")]
        lines += _lines(queue_id, rows)
    lines += _lines(ALL, [found[kind]["all"] for kind in ("was", "played", "changed")])
    return "\n".join(lines)


def _lines(title: str, rows: list[dict[str, float]]) -> list[str]:
    found = []
    for figure in FIGURES:
        values = [row.get(figure) for row in rows]
        if values == [None, None, None]:
            continue
        cells = "".join(f"{'-' if value is None else f'{value:.3f}':>12}" for value in values)
        _, played, changed = values
        difference = f"{changed - played:+.3f}" if played is not None and changed is not None else "-"
        found.append(f"{title + ' ' + figure:32}{cells}{difference:>12}")
    return found
