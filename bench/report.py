import json
from dataclasses import asdict, dataclass
from pathlib import Path

BUILD = Path(__file__).resolve().parents[1] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure: who was measured, what, how much, in which unit."""

    who: str
    metric: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Target:
    """One target beside what was measured. `met` is None where this run could not say."""

    metric: str
    target: str
    measured: float
    met: bool | None


def write(name: str, rows: list[Row], targets: list[Target]) -> Path:
    """Write build/bench/<name>.json and return its path."""
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{name}.json"
    document = {"rows": [asdict(row) for row in rows], "targets": [asdict(target) for target in targets]}
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return path


def show(rows: list[Row], targets: list[Target]) -> None:
    """Print the table for a person."""
    print(f"{'who':<34}{'metric':<44}{'value':>12}  unit")
    for row in rows:
        print(f"{row.who:<34}{row.metric:<44}{row.value:>12,.2f}  {row.unit}")
    print()
    for target in targets:
        answer = {True: "met", False: "MISSED", None: "not measured"}[target.met]
        print(f"{target.metric:<60} target {target.target:<16} measured {target.measured:>10,.2f}  {answer}")
