from pathlib import Path

import pytest

from services.recorder.adapters import recogniser_process
from services.recorder.adapters.recogniser_process import KEEP_MEMORY, WIDE, environment

NEW = "avx2 avx512f avx512cd avx512vl avx512bw avx512dq avx512_vnni"
FIRST_WITH_AVX512 = "avx2 avx512f avx512cd avx512vl avx512bw avx512dq"


def on(monkeypatch: pytest.MonkeyPatch, folder: Path, flags: str) -> None:
    told = folder / "cpuinfo"
    told.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(recogniser_process, "_PROCESSOR", told)


@pytest.mark.parametrize(("flags", "wide"), [(NEW, "AVX512"), (FIRST_WITH_AVX512, None), ("avx2", None)])
def test_wide_registers_are_asked_for_only_where_they_are_and_are_quick(
    flags: str, wide: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on(monkeypatch, tmp_path, flags)
    made = environment({"PATH": "/bin"})
    assert (made.get(WIDE), made["PATH"]) == (wide, "/bin")
    assert made.items() >= KEEP_MEMORY.items()
    assert environment(made) == made


def test_what_an_operator_has_set_counts_and_a_machine_that_tells_nothing_is_taken_as_old(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on(monkeypatch, tmp_path, NEW)
    assert environment({WIDE: "GENERIC"})[WIDE] == "GENERIC"
    monkeypatch.setattr(recogniser_process, "_PROCESSOR", tmp_path / "none")
    assert WIDE not in environment({})
