from dataclasses import dataclass
from typing import Any

from local.stack.expected import Due

WAV_HEADER_BYTES = 44


@dataclass(frozen=True, slots=True)
class Row:
    """Two figures that must be equal, from two sides that do not know each other."""

    what: str
    expected: int
    found: int

    @property
    def balances(self) -> bool:
        """Whether they are equal."""
        return self.expected == self.found


def balance(
    truth: dict[str, Any], summary: dict[str, Any], received: dict[str, Any], stored: int, due: Due
) -> list[Row]:
    """Hold the platform's numbers against the switch's own ground truth.

    `truth` is the switch's list of calls and offers, `summary` the statistics' totals, `received` what the webhook
    receiver got, `stored` the objects in the store, `due` what webhooks and feeds were due for.
    """
    calls = truth["calls"]
    talked = [call for call in calls if call["talks"]]
    called_back = [dial for dial in truth["dials"] if any(dial["talked_with"])]
    kept = [call for call in (*talked, *called_back) if not _died_with_the_switch(call)]
    exits, outbound = summary["by_exit"], summary["called_back"]
    # An attempt is told before its order goes out; where it met nobody, the switch knows nothing of it. (A real
    # switch's dials are known by the phones, which have no ids of legs: nothing that failed so has rung one.)
    unreached = due.unreached - {dial.get("uuid") for dial in truth["dials"]}
    return [
        Row("calls in", len(calls), summary["calls_in"]),
        Row("calls in = sum of exits", summary["calls_in"], sum(exits.values())),
        Row("answered", len(talked), summary["answered"]),
        Row("ended as answered", len(talked), exits.get("answered", 0)),
        Row("calls not ended", 0, summary["calls_in"] - summary["calls_ended"]),
        Row("customers dialled", len(truth["dials"]) + len(unreached), outbound["dialled"]),
        Row("customers called back", len(called_back), outbound["answered"]),
        Row("callbacks not ended", 0, outbound["not_ended"]),
        Row("recordings stored = calls answered", len(kept), stored),
        Row("recordings in the call log", stored, summary["recordings_stored"]),
        Row("webhooks delivered = expected", due.deliveries, received["distinct"]),
        Row("events in tenants' own topics", due.fed, due.found_in_feeds),
        Row("webhooks with a bad signature", 0, received["invalid"]),
        Row("callers stuck", 0, sum(call["hungup"] is None for call in calls)),
        Row("customers stuck", 0, sum(dial["ended"] is None for dial in truth["dials"])),
        Row("agents rung twice at once", 0, double_rings(truth["offers"])),
    ]


def _died_with_the_switch(call: dict[str, Any]) -> bool:
    """Whether the switch was killed before a sound of the talk had left its memory: nobody can store that."""
    sizes = [recording["size"] for recording in call["recordings"]]
    return call["hung_up_by"] == "crash" and bool(sizes) and max(sizes) <= WAV_HEADER_BYTES


def double_rings(offers: list[dict[str, Any]]) -> int:
    """Count offers that rang a phone which was ringing or talking already."""
    doubles = 0
    busy_until: dict[str, float] = {}
    for offer in sorted(offers, key=lambda one: one["rang"]):
        if offer["rang"] < busy_until.get(offer["agent"], 0.0):
            doubles += 1
        busy_until[offer["agent"]] = offer["ended"] or float("inf")
    return doubles


def table(rows: list[Row]) -> str:
    """Draw the balance for a person."""
    lines = [f"{'':<38}{'expected':>10}{'found':>10}"]
    lines += [
        f"{row.what:<38}{row.expected:>10}{row.found:>10}  {'ok' if row.balances else '<-- differs'}" for row in rows
    ]
    return "\n".join(lines)
