"""The command line's erasure: what a person reads of it."""

from services.cli.erase import as_text
from services.console.domain.erasure_view import Erasure


def test_a_report_says_who_has_not_answered_what_is_held_back_and_when_the_log_forgets() -> None:
    services = [
        {"service": "router", "state": "done", "removed": {"last_agents": 1}, "held_back": [], "fault": ""},
        {"service": "console", "state": "done", "removed": {}, "held_back": [], "fault": ""},
        {
            "service": "recorder",
            "state": "done",
            "removed": {"recordings": 2},
            "held_back": [{"kind": "recordings", "count": 1, "reason": "a legal hold"}],
            "fault": "",
        },
        {"service": "stats", "state": "failed", "removed": {}, "held_back": [], "fault": "no\nsecret"},
        {"service": "webhooks", "state": "waiting", "removed": {}, "held_back": [], "fault": ""},
    ]
    report = {
        "erasure_id": "er-1",
        "state": "open",
        "actor": "anna",
        "asked_at": "2026-01-01T00:00:00+00:00",
        "services": services,
        "missing": ["stats", "webhooks"],
        "log": [{"topic": "ringmaster.calls", "gone_by": "2026-04-08T00:00:00+00:00"}],
    }
    told = as_text(report)
    assert told.splitlines() == [
        "open: erasure er-1, asked for by anna at 2026-01-01T00:00:00+00:00",
        "  router    done: 1 last agents",
        "  console   done: nothing was there",
        "  recorder  done: 2 recordings; held back: 1 recordings, a legal hold",
        "  stats     failed; no·secret",
        "  webhooks  waiting",
        "not done yet: stats, webhooks",
        "the broker's topics have lost the last record that names the person",
        "  ringmaster.calls             by 2026-04-08T00:00:00+00:00",
    ]
    assert Erasure("acme", "er-1").report()["state"] == "open"
