"""Fuzz the decoder by coverage: `python -m tests.fuzz.decoder_atheris -max_total_time=600 [corpus folder]`.

Fails on: an exception other than ProtocolError; frames or fields that the reference does not read; frames that depend
on how the bytes were cut. Needs the `atheris` package.
"""

import lzma
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]  # not a dependency

with atheris.instrument_imports(include=["services.shared.esl"]):
    from services.shared.esl import decoder, errors

from tests.fuzz.agreement import check

FIXTURES = Path(__file__).parents[1] / "fixtures" / "esl"
SEEDS = ("01a-auth-refused", "01b-acl-rude-rejection", "01d-commands", "02-inbound-call.plain", "02-inbound-call.json")
SEED_BYTES = 3_000


def one_input(data: bytes) -> None:
    """Read the bytes cut at places that the last few of them choose."""
    provider = atheris.FuzzedDataProvider(data)
    cuts = provider.ConsumeIntListInRange(provider.ConsumeIntInRange(0, 6), 0, 4_096)
    check(provider.ConsumeBytes(len(data)), cuts, decoder, errors.ProtocolError)


def seed(folder: Path) -> None:
    """Begin from captured bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in SEEDS:
        data = lzma.decompress((FIXTURES / f"{run}.esl.xz").read_bytes())
        for number, start in enumerate(range(0, min(len(data), 20 * SEED_BYTES), SEED_BYTES)):
            (folder / f"{run}-{number}").write_bytes(data[start : start + SEED_BYTES])


def main() -> None:
    """Seed an empty corpus folder, then hand over to libFuzzer."""
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if folders and not any(folders[0].glob("*")):
        seed(folders[0])
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
