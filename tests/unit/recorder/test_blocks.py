import pytest

from services.recorder.adapters.disk import Blocks


def test_a_block_is_used_again() -> None:
    blocks = Blocks(4)
    with blocks.block() as first, blocks.block() as second:
        first[:], second[:] = b"olen", b"mari"
    with blocks.block() as third, blocks.block() as fourth:
        assert {bytes(third), bytes(fourth)} == {b"olen", b"mari"}


def test_a_block_that_somebody_may_still_read_into_is_not() -> None:
    blocks = Blocks(4)
    with pytest.raises(TimeoutError), blocks.block() as abandoned:
        raise TimeoutError
    with blocks.block() as next_one:
        abandoned[:] = b"late"
        assert bytes(next_one) == bytes(4)
