import pytest
from structlog.testing import capture_logs

from services.shared.chassis.watch import MISSES, Away, Watch, trouble_of


class Dependency:
    """What is watched; it answers or does not."""

    answers = True

    def ask(self) -> None:
        if not self.answers:
            raise Away("it does not answer")


@pytest.fixture
def dependency() -> Dependency:
    return Dependency()


def test_an_outage_is_told_when_it_begins_and_when_it_ends_and_not_between(dependency: Dependency) -> None:
    watch = Watch("broker", dependency.ask)
    with capture_logs() as told:
        dependency.answers = False
        for _ in range(MISSES + 5):
            watch.look()
        assert watch.trouble == "it does not answer"
        dependency.answers = True
        watch.look()
    assert [line["event"] for line in told] == ["dependency_away", "dependency_back"]
    assert watch.trouble == ""


def test_one_missed_answer_is_no_outage(dependency: Dependency) -> None:
    watch = Watch("broker", dependency.ask)
    with capture_logs() as told:
        for answers in (False, True, False, True):
            dependency.answers = answers
            watch.look()
            assert watch.trouble == ""
    assert told == []


def test_the_sentences_of_all_that_are_away_are_shown() -> None:
    assert trouble_of(Watch("a", print, "a is away"), Watch("b", print), Watch("c", print, "c is away")) == (
        "a is away; c is away"
    )
