"""What the numbers must be: SPEC 8.2's formulas in plain Python, over the records of metrics_oracle."""

from math import ceil
from statistics import fmean

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from tests.unit.stats.metrics_oracle import Record

SHORT = ev.QUEUE_EXIT_SHORT_ABANDONED
GAVE_UP = (ev.QUEUE_EXIT_ABANDONED, SHORT)
LOST = ("ABANDONED", "SHORT_ABANDONED", "TIMEOUT", "NO_AGENT", "ERROR", "FALLBACK")
USER = ("USER_BUSY", "NO_ANSWER", "NO_USER_RESPONSE", "CALL_REJECTED", "ORIGINATOR_CANCEL", "SUBSCRIBER_ABSENT")
GAVE_UP_CALL = ("ABANDONED", "SHORT_ABANDONED", "FLOW_ABANDONED", "FLOW_ENDED")
HANDLE = ("talking", "holding", "wrap_up")


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def of_stays(stays: list[Record]) -> dict[str, float | None]:
    answered = [s for s in stays if s["exit"] == ev.QUEUE_EXIT_ANSWERED]
    gave_up = [s for s in stays if s["exit"] in GAVE_UP]
    a, b = len(answered), len(gave_up)
    a_t, b_t = sum(s["in_time"] for s in answered), sum(s["in_time"] for s in gave_up)
    b_s = sum(s["exit"] == SHORT for s in stays)
    waits = sorted(s["wait"] for s in answered)
    return {
        "offered": len(stays),
        "answered": a,
        "answered_in_time": a_t,
        "abandoned": b,
        "abandoned_in_time": b_t,
        "exit_keys": sum(s["exit"] == ev.QUEUE_EXIT_EXIT_KEY for s in stays),
        "short_abandoned": b_s,
        "flow_out": len(stays) - a - b,
        "abandon_rate": share(b, len(stays)),
        "service_level_v1": share(a_t, a),
        "service_level_v2": share(a_t, a + b),
        "service_level": share(a_t, a + b - b_t),
        "service_level_v4": share(a_t + b_t, a + b),
        "service_level_v5": share(a_t + b_s, a + b),
        "service_level_v6": share(sum(s["in_time"] for s in stays), len(stays)),
        "asa": share(sum(waits), a),
        "awt": share(sum(s["wait"] for s in stays), len(stays)),
        "abandon_wait": share(sum(s["wait"] for s in gave_up), b),
        "longest_wait": max((s["wait"] for s in stays), default=None),
        "wait_median": waits[ceil(0.5 * a) - 1] if waits else None,
        "wait_p90": waits[ceil(0.9 * a) - 1] if waits else None,
        "timeouts": sum(s["exit"] == ev.QUEUE_EXIT_TIMEOUT for s in stays),
        "no_agents": sum(s["exit"] == ev.QUEUE_EXIT_NO_AGENT for s in stays),
        "overflows": sum(s["exit"] == ev.QUEUE_EXIT_OVERFLOW for s in stays),
        "queue_callbacks": sum(s["exit"] == ev.QUEUE_EXIT_CALLBACK for s in stays),
        "estimate_error": fmean(s["error"] for s in answered) if answered else None,
    }


def of_calls(calls: list[Record]) -> dict[str, float | None]:
    over = [c for c in calls if c["ended"]]
    talked = [c for c in over if c["answered"]]
    dur = sum(c["billed"] for c in over)
    failed = [c for c in over if not c["answered"] and (c["cause"] in USER or c["exit"] in GAVE_UP_CALL)]
    lost = sum(c["is_in"] and c["exit"] in LOST for c in calls)
    known = [c["client"] for c in calls if c["client"]]
    inbound = sum(c["is_in"] for c in calls)
    return {
        "calls": len(calls),
        "calls_in": inbound,
        "calls_out": len(calls) - inbound,
        "calls_answered": len(talked),
        "calls_lost": lost,
        "lost_rate": share(lost, inbound),
        "dur": dur,
        "acd": share(dur, len(talked)),
        "asr": share(len(talked), len(over)),
        "ner": share(len(talked) + len(failed), len(over)),
        "clients": len(set(known)),
        "fell_back": sum(c["back"] for c in calls),
        "in_flow": sum(c["exit"] in ("FLOW_ABANDONED", "FLOW_ENDED") for c in calls),
        "recorded_share": share(sum(c["kept"] for c in calls), len(talked)),
        "rated_share": share(sum(c["rated"] for c in calls), len(talked)),
        "calls_per_client": share(len(known), len(set(known))),
        "tariffed": sum(tariffed(c["billed"]) for c in talked),
    }


def tariffed(seconds: float, free: int = 3, least: int = 60, step: int = 15) -> int:
    if seconds <= free:
        return 0
    charged = least
    while charged < ceil(seconds):
        charged += step
    return charged


def of_talks(talks: list[Record], wraps: list[Record]) -> dict[str, float | None]:
    spoken, held, wrapped = (sum(x[k] for x in xs) for xs, k in ((talks, "length"), (talks, "hold"), (wraps, "length")))
    return {
        "handled": len(talks),
        "talk_time": spoken - held,
        "hold_time": held,
        "hold_share": share(sum(t["hold"] > 0 for t in talks), len(talks)),
        "longest_talk": max((t["length"] for t in talks), default=None),
        "mean_wrap_up": share(wrapped, len(wraps)),
        "mean_talk": share(spoken, len(talks)),
        "wrap_ups": len(wraps),
        "wrap_up_time": wrapped,
        "aht": share(spoken + wrapped, len(talks)),
    }


def of_spans(spans: list[Record]) -> dict[str, float | None]:
    def time_in(*states: str) -> float:
        return float(sum(s["length"] for s in spans if s["state"] in states))

    handle, idle = time_in(*HANDLE), time_in("idle")
    logged_in = sum(s["length"] for s in spans if s["state"] != "offline")
    return {
        "handle_time": handle,
        "idle_time": idle,
        "away_time": time_in("away"),
        "ringing_time": time_in("ringing", "reserved"),
        "state_talking_time": time_in("talking"),
        "state_holding_time": time_in("holding"),
        "state_wrap_up_time": time_in("wrap_up"),
        "unreachable_time": time_in("unreachable"),
        "logged_in_time": logged_in,
        "occupancy": share(handle, handle + idle),
        "utilisation": share(handle, logged_in),
        "agents": len({s["agent"] for s in spans if s["state"] != "offline"}),
    }


def of_one_state(spans: list[Record]) -> dict[str, float | None]:
    """Time by agent state (SPEC 8.1, 8.2): all of the seconds that a row's spans last, cut at the period's edges."""
    return {"state_time": float(sum(s["length"] for s in spans))}


def of_offers(offers: list[Record]) -> dict[str, float | None]:
    def how(name: str) -> int:
        return sum(o["how"] == name for o in offers)

    won = [o["ring"] for o in offers if o["how"] == "accepted"]
    return {
        "offers": len(offers),
        "offers_accepted": len(won),
        "offers_missed": how("missed"),
        "offers_rejected": how("rejected"),
        "offers_cancelled": how("cancelled"),
        "offers_failed": how("failed"),
        "offers_lost": how("lost_race"),
        "acceptance": share(len(won), len(won) + how("missed") + how("rejected")),
        "mean_ring": share(sum(won), len(won)),
    }


def of_callbacks(callbacks: list[Record]) -> dict[str, float | None]:
    reached = [c["took"] for c in callbacks if c["how"] == "reached"]
    lost = sum(c["how"] == "lost" for c in callbacks)
    return {
        "callbacks": len(callbacks),
        "callbacks_done": len(reached),
        "callbacks_lost": lost,
        "callbacks_cancelled": sum(c["how"] == "cancelled" for c in callbacks),
        "callbacks_open": sum(c["how"] == "open" for c in callbacks),
        "callback_success": share(len(reached), len(reached) + lost),
        "callback_delay": share(sum(reached), len(reached)),
    }


def of_transfers(transfers: list[Record]) -> dict[str, float | None]:
    return {"transfers": len(transfers), "attended_share": share(sum(t["spoke"] for t in transfers), len(transfers))}


def of_firsts(firsts: list[Record]) -> dict[str, float | None]:
    return {"first_calls": len(firsts), "fcr": share(sum(f["is_resolved"] for f in firsts), len(firsts))}


def of_joins(joins: list[Record]) -> dict[str, float | None]:
    return {"joined": len(joins)}


def of_steps(steps: list[Record]) -> dict[str, float | None]:
    left = [s["spent"] for s in steps if s["exit"]]
    return {
        "steps": len(steps),
        "step_calls": len({s["call"] for s in steps}),
        "mean_step": share(sum(left), len(left)),
        "hung_up_in_step": share(len(steps) - len(left), len(steps)),
    }


def of_choices(choices: list[Record]) -> dict[str, float | None]:
    return {"choices": len(choices), "mean_tries": share(sum(c["tries"] for c in choices), len(choices))}


def of_recordings(recordings: list[Record]) -> dict[str, float | None]:
    made = [r for r in recordings if r["text"] == "made"]
    felt, turned, agents = ([r[name] for r in made if r[name] is not None] for name in ("felt", "turned", "agent_felt"))
    bad = [score for score in felt if score <= -0.25]
    return {
        "recordings": len(recordings),
        "recordings_stored": sum(r["how"] == "kept" for r in recordings),
        "recordings_failed": sum(r["how"] == "lost" for r in recordings),
        "recordings_silent": sum(r["quiet"] for r in recordings),
        "recorded_time": sum(r["sound"] for r in recordings),
        "recorded_bytes": sum(r["bytes"] for r in recordings),
        "transcripts": len(made),
        "transcripts_failed": sum(r["text"] == "failed" for r in recordings),
        "words": sum(r["words"] for r in made),
        "confidence": share(sum(r["sure"] for r in made), len(made)),
        "felt_talks": len(felt),
        "customer_sentiment": fmean(felt) if felt else None,
        "bad_talks": len(bad),
        "bad_talks_share": share(len(bad), len(felt)),
        "sentiment_change": fmean(turned) if turned else None,
        "agent_sentiment": fmean(agents) if agents else None,
    }


def of_matches(matches: list[Record]) -> dict[str, float | None]:
    return {"matches": len(matches), "matched_calls": len({m["call"] for m in matches})}


def of_answers(answers: list[Record]) -> dict[str, float | None]:
    scores = [a["score"] for a in answers if a["score"] is not None]
    return {
        "answers": len(answers),
        "mean_score": fmean(scores) if scores else None,
        "score_low": min(scores, default=None),
        "score_high": max(scores, default=None),
    }


def of_words(words: list[Record]) -> dict[str, float | None]:
    return {"status_changes": len(words)}


def of_attempts(attempts: list[Record]) -> dict[str, float | None]:
    return {"attempts": len(attempts), "attempt_success": share(sum(a["won"] for a in attempts), len(attempts))}


def of_happened(happened: list[Record]) -> dict[str, float | None]:
    return {
        "happenings": len(happened),
        "violations": sum(h["kind"] == "kpi.violated" for h in happened),
        "recoveries": sum(h["kind"] == "kpi.recovered" for h in happened),
    }
