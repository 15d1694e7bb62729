"""What a recogniser's process has to be started with: its libraries read these variables once, at the start."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

KEEP_MEMORY: Final = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""What a recogniser has freed stays with its process (mallopt(3)). Whisper's attention takes 72 MB for each layer, and
glibc gives so much back at once: 150,000 page faults, half of the encoder's time."""
WIDE: Final = "CT2_FORCE_CPU_ISA"
"""CTranslate2 (cpu/cpu_isa.cc) leaves AVX-512 unused unless it is told to use it: the first processors that had it ran
slower with it. Those with VNNI do not: it saves 8 to 17 % of Whisper's time."""
_WIDE_NEEDS: Final = {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq", "avx512_vnni"}
_PROCESSOR: Final = Path("/proc/cpuinfo")


def environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of a recogniser's process; what an operator has set counts."""
    wide = {WIDE: "AVX512"} if _flags() >= _WIDE_NEEDS else {}
    return wide | dict(given) | KEEP_MEMORY


def _flags() -> set[str]:
    """Return what the processor says that it can do; nothing where the machine tells no such thing."""
    try:
        lines = _PROCESSOR.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())
