from services.cli.calls import _as_text


def test_the_answer_to_why_names_who_could_have_had_the_call_and_who_could_not() -> None:
    offer = {
        "agent_id": "olena",
        "candidates": [{"agent_id": "olena", "level": 1, "order": {"idle_ms": 4000}}],
        "filtered": [{"agent_id": "taras", "reason": "away"}],
    }
    record = {"after_ms": 1500, "what": "offer.created", "text": "offered to olena", "offer": offer}
    text = _as_text({"call_id": "c1", "exit": "answered", "why": [record]})
    assert "call_id=c1 exit=answered" in text
    assert "1.500 s  offer.created" in text
    assert "could have it: olena (level 1; idle_ms 4000)" in text
    assert "could not: taras, away" in text


def test_what_a_caller_has_written_moves_no_cursor() -> None:
    record = {"after_ms": 0, "what": "ivr.choice", "text": "chose \x1b[2J\x07"}
    text = _as_text({"call_id": "c1", "why": [record]})
    assert "\x1b" not in text
    assert "\x07" not in text
