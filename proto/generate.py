"""Write services/shared/contracts/ringmaster from proto/ringmaster. Run by `make proto`; the result is committed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROTO = ROOT / "proto"
TARGET = ROOT / "services" / "shared" / "contracts"


def main() -> None:
    """Generate messages and type stubs for every .proto file."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("ringmaster/**/*.proto"))
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{PROTO}",
        f"--python_out={TARGET}",
        f"--mypy_out=quiet:{TARGET}",
        *sources,
    ]
    subprocess.run(command, check=True, cwd=PROTO)  # noqa: S603 - our own files, no shell
    for path in sorted((TARGET / "ringmaster").rglob("*.py*")):
        # protoc imports its siblings from the proto root; ours live below services.shared.contracts.
        text = path.read_text(encoding="utf-8")
        text = text.replace("from ringmaster.v1 import", "from services.shared.contracts.ringmaster.v1 import")
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
