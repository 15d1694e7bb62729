"""Write the dashboards' JSON anew: `python -m deploy.dashboards`; with --check, say where it is not what is there."""

import sys

from deploy.dashboards.boards import BOARDS, FOLDER
from deploy.dashboards.drawing import drawn


def main(arguments: list[str]) -> int:
    """Write, or with --check compare; returns the exit code."""
    wanted = {f"{board.name}.json": drawn(board) for board in BOARDS}
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    if "--check" in arguments:
        other = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        if other:
            sys.stderr.write(f"Not what deploy/dashboards says: {', '.join(other)}. Type: make dashboards\n")
        return int(bool(other))
    for name in present.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


sys.exit(main(sys.argv[1:]))
