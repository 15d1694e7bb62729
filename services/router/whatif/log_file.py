"""A tenant's log as lines of JSON, so that a what-if can be asked again: offset, moment and bytes of each input."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
from google.protobuf.message import DecodeError

from services.shared.contracts.ringmaster.v1.input_pb2 import Input


class BadLog(Exception):
    """A file is not what we wrote. One sentence for whoever named it."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One input of ringmaster.inputs. Partition and offset matter: the ids of all decisions are derived from them."""

    partition: int
    offset: int
    time_ms: int
    given: Input


def write_log(path: Path, inputs: Iterable[Logged]) -> None:
    """Write a log. Raises OSError."""
    with path.open("wb") as file:
        for one in inputs:
            value = b64encode(one.given.SerializeToString()).decode()
            file.write(orjson.dumps([one.partition, one.offset, one.time_ms, value]) + b"\n")


def read_log(path: Path) -> Iterator[Logged]:
    """Read a log. Raises OSError, BadLog."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                partition, offset, time_ms, value = orjson.loads(line)
                yield Logged(int(partition), int(offset), int(time_ms), Input.FromString(b64decode(value)))
            except (ValueError, TypeError, DecodeError) as error:
                raise BadLog(f"{path}, line {number} is no input of a log") from error
