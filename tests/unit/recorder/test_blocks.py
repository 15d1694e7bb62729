import pytest

from services.recorder.adapters.disk import Blocks


def test_a_block_is_used_again() -> None:
    blocks = Blocks(4)
    with blocks.block(4) as first, blocks.block(4) as second:
        first[:], second[:] = b"olen", b"mari"
    with blocks.block(4) as third, blocks.block(4) as fourth:
        assert {bytes(third), bytes(fourth)} == {b"olen", b"mari"}


def test_a_block_that_somebody_may_still_read_into_is_not() -> None:
    blocks = Blocks(4)
    with pytest.raises(TimeoutError), blocks.block(4) as abandoned:
        raise TimeoutError
    with blocks.block(4) as next_one:
        abandoned[:] = b"late"
        assert bytes(next_one) == bytes(4)


def test_a_small_block_is_as_small_as_is_wanted() -> None:
    with Blocks(1000).block(3) as block:
        assert bytes(block) == bytes(3)
