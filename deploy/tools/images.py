"""Build the images without a registry, and start each: `python -m deploy.tools.images prepare|base|build|probe|all`.

Needs root, buildah and debootstrap (Debian packages of these names). IMAGES=router,tools takes some only.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import zipapp
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from deploy.tools.chart_settings import ROOT
from deploy.tools.image_names import NAMES, USUAL, VERSION, Unbuildable, image_of
from deploy.tools.sbom import read_status, sbom

BUILD: Final = ROOT / "build" / "images"
BASE_IMAGE: Final = "localhost/ringmaster-base:bookworm"
BASE_PACKAGES: Final = "python3,python3-venv,ca-certificates,tzdata"
# What nobody reads in a container.
_USELESS: Final = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/cache/apt",
    "var/lib/apt/lists",
)


def wanted() -> list[str]:
    """Return the images that IMAGES names, all without it."""
    names = os.environ.get("IMAGES", ",".join(USUAL)).split(",")
    if unknown := set(names) - set(NAMES):
        raise Unbuildable(f"IMAGES names {', '.join(sorted(unknown))}; known are {', '.join(NAMES)}")
    return names


def requirements_of(name: str) -> str:
    """Return what an image installs: of requirements.lock, with its hashes, just what the service's extra needs."""
    uv = str(Path(sys.executable).with_name("uv"))
    words = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", "3.11", "--extra", name]
    done = _run([uv, *words, "--constraint", "requirements.lock", "pyproject.toml"])
    needed = {line.partition("==")[0].strip() for line in done.splitlines() if "==" in line}
    blocks = _blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    if lost := needed - blocks.keys():
        raise Unbuildable(f"requirements.lock has no {', '.join(sorted(lost))}: type `make lock`")
    return "".join(blocks[one] for one in sorted(needed))


def _blocks(lock: str) -> dict[str, str]:
    """Return the lock's lines by package, those of the hashes with it and the comments without."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if line[:1].isalnum():
            name = line.partition("==")[0].strip()
            found[name] = line
        elif line.strip().startswith("--hash"):
            found[name] += line
    return found


def prepare() -> None:
    """Fetch the wheels of every image; write its requirements and what it is made of."""
    status = read_status(BUILD / "base")
    for name in wanted():
        folder = BUILD / name
        wheels = folder / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        wheels.mkdir(parents=True)
        text = requirements_of(name)
        (folder / "requirements.txt").write_text(text, encoding="utf-8")
        # What is there as source only is built here, after its hash was right; the image gets wheels alone.
        words = ["wheel", "--quiet", "--no-deps", "--require-hashes", "--wheel-dir", str(wheels)]
        _run([sys.executable, "-m", "pip", *words, "--requirement", str(folder / "requirements.txt")])
        _copy_pip(wheels)
        document = sbom(name, VERSION, text, status)
        (folder / "sbom.cdx.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        _say(f"  {name:<9} {len(document['components'])} components")


def _copy_pip(wheels: Path) -> None:
    """Put pip beside the wheels as one file: the image that is left has none."""
    import pip  # noqa: PLC0415 - only here, and as files

    staged = wheels / "pip-staged"
    shutil.copytree(Path(pip.__file__).parent, staged / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    zipapp.create_archive(staged, wheels / "pip.pyz", main="pip._internal.cli.main:main")
    shutil.rmtree(staged)


def base() -> None:
    """Make the base image from Debian's own packages, once."""
    if _has_image(BASE_IMAGE):
        return
    root = BUILD / "base"
    if not (root / "usr" / "bin" / "python3").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        _run(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", "bookworm", str(root)])
    for each in _USELESS:
        shutil.rmtree(root / each, ignore_errors=True)
    container = _run(["buildah", "from", "scratch"]).strip()
    try:
        _run(["buildah", "copy", "--quiet", container, str(root), "/"])
        _run(["buildah", "commit", "--quiet", container, BASE_IMAGE])
    finally:
        _run(["buildah", "rm", container])


def build() -> None:
    """Build every image."""
    _write_ignored()
    for name in wanted():
        began = time.monotonic()
        words = ["bud", "--isolation=chroot", "--format=docker", "--layers=false", "--quiet"]
        arguments = [f"--build-arg=BASE={BASE_IMAGE}", f"--build-arg=SERVICE={name}", f"--target={name}"]
        file = ["--file", str(ROOT / "deploy" / "images" / "Dockerfile"), "--ignorefile", str(BUILD / "ignored")]
        _run(["buildah", *words, *arguments, *file, "--tag", image_of(name), str(ROOT)])
        _say(f"  {name:<9} built in {time.monotonic() - began:.0f} s, {size_of(name) / 1e6:.0f} MB")


def _write_ignored() -> None:
    lines = ["*", "!services", "!proto/topics", "!build/images", "build/images/base", "**/__pycache__"]
    (BUILD / "ignored").write_text("\n".join(lines) + "\n", encoding="utf-8")


def size_of(name: str) -> int:
    """Return what an image takes, bytes."""
    found: list[dict[str, Any]] = json.loads(_run(["buildah", "images", "--json", image_of(name)]))
    text = str(found[0]["size"])
    number, unit = text.split()
    return int(float(number) * {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}[unit])


def probe() -> None:
    """Start every image as the cluster would and ask it."""
    from deploy.tools.image_probe import probe_all  # noqa: PLC0415 - needs the local stack

    probe_all(wanted(), _say)


def _has_image(name: str) -> bool:
    return (
        subprocess.run(["buildah", "inspect", "--type=image", name], capture_output=True, check=False).returncode == 0
    )


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=900)
    except FileNotFoundError as error:
        raise Unbuildable(f"{command[0]} is missing: install it (Debian: {command[0]})") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()
        raise Unbuildable(f"{' '.join(command[:3])} … ended with {error.returncode}: {said[-600:]}") from error
    return done.stdout


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


_STEPS: Final[dict[str, tuple[Callable[[], None], ...]]] = {
    "prepare": (prepare,),
    "base": (base,),
    "build": (build,),
    "probe": (probe,),
    "all": (base, prepare, build, probe),
}


def main() -> int:
    """Run the steps; return 1 with one sentence when one can't be done."""
    asked = sys.argv[1] if len(sys.argv) > 1 else "all"
    try:
        for step in _STEPS[asked]:
            step()
    except Unbuildable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyError:
        sys.stderr.write(f"Say one of {', '.join(_STEPS)}.\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
