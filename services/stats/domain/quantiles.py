"""Quantiles of durations from counts by logarithmic bucket: the DDSketch of Masson, Rim and Lee (VLDB 2019).

Counts add up and can be taken away again, so a window slides exactly and the order of events does not matter; a
sketch of centroids or samples can do neither. The mapping from values to buckets is the ddsketch package's.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from ddsketch.mapping import LogarithmicMapping

ACCURACY: Final = 0.01
"""A quantile is within one per cent of the true one, or within a millisecond."""
SHOWN: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95}
Counts = dict[int, int]
_LONGEST_MS: Final = 7 * 86_400_000
_ROUNDING: Final = 1e-9
"""A share of so many, 0.95 of 20, may come out a little above the whole number that it is."""
_MAPPING: Final = LogarithmicMapping(ACCURACY)


@lru_cache(maxsize=65_536)
def bucket_of(milliseconds: int) -> int:
    """Return the bucket of a duration; a millisecond or less is bucket 0, more than a week counts as a week."""
    return int(_MAPPING.key(min(max(1, milliseconds), _LONGEST_MS)))


def add_counts(counts: Counts, more: Mapping[int, int], sign: int) -> None:
    """Add counts, or take them away with sign -1; a bucket without any is dropped."""
    for bucket, count in more.items():
        left = counts.get(bucket, 0) + sign * count
        if left:
            counts[bucket] = left
        else:
            counts.pop(bucket, None)


def quantile_ms(counts: Mapping[int, int], share: float) -> int | None:
    """Return the duration that `share` (0 to 1) of all is not above, by nearest rank; None without any."""
    whole = sum(counts.values())
    if not whole:
        return None
    rank = share * whole - _ROUNDING
    passed = 0
    for bucket in sorted(counts):
        passed += counts[bucket]
        if passed >= rank:
            return round(_MAPPING.value(bucket)) if bucket else 0
    return None


def quantiles_ms(counts: Mapping[int, int]) -> dict[str, int | None]:
    """Return the quantiles that are shown, by name; one sort for all would save less than it costs to read."""
    return {name: quantile_ms(counts, share) for name, share in SHOWN.items()}
