"""A recorder that is killed between any two of its steps loses nothing, stores nothing twice, deletes nothing early."""

import signal
from collections import Counter

import pytest

from services.recorder.domain.progress import Step
from tests.integration.recorder.node import Node, node
from tests.unit.recorder.sounds import frames_of, sound, wav

__all__ = ["node"]  # a fixture by import


def test_every_recording_is_stored_byte_for_byte(node: Node) -> None:
    assert node.run() == (0, ["stored"] * 3)
    node.check_all_is_stored_once()
    assert frames_of(node.stored()["killed"])[:2] == (2, 8000)


@pytest.mark.parametrize("step", [step.value for step in Step])
def test_a_kill_behind_each_step_is_made_good(node: Node, step: str) -> None:
    # One recording a process is finished at most, so three kills hit each kind of file.
    for _ in range(3):
        code, _ = node.run(die_after=step)
        assert code in (0, -signal.SIGKILL)
        node.check_nothing_is_lost()
    assert node.run()[0] == 0
    node.check_all_is_stored_once()


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_kill_in_the_middle_of_an_upload_is_made_good(node: Node, part: int) -> None:
    code, _ = node.run(die_at_part=part)
    assert code == -signal.SIGKILL
    node.check_nothing_is_lost()
    assert node.run()[0] == 0
    node.check_all_is_stored_once()


def test_two_recorders_on_one_folder_store_each_recording_once(node: Node) -> None:
    for number in range(20):
        body = wav(sound(500, seed=number))
        node.add(f"more-{number}", body, body)
    both = [node.start(), node.start()]
    ends = [node.nursery.end(each) for each in both]
    assert [code for code, _ in ends] == [0, 0]
    outcomes = Counter(word for _, words in ends for word in words)
    assert outcomes["stored"] == len(node.wanted)
    assert set(outcomes) <= {"stored", "gone", "claimed"}
    assert set(node.announced().values()) == {1}
    node.check_all_is_stored_once()
