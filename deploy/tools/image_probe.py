"""Starts each image on a read-only root as nobody's account, beside a true broker and true stores, and asks it."""

import json
import os
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.tools.image_names import Unbuildable, image_of
from local.stack.layout import Layout
from local.stack.parts import infrastructure, services
from local.stack.parts import switch as switch_part
from services.cli.topics import definitions
from services.shared.bus.admin import ensure_topics
from services.shared.testing.waiting import wait_until

BASE_PORT: Final = 24_000
READY_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0
# What has no business in an image that runs; looked for in its whole tree.
_FORBIDDEN: Final = (
    "usr/bin/gcc",
    "usr/bin/cc",
    "usr/bin/make",
    "opt/ringmaster/bin/pip",
    "usr/bin/curl",
    "usr/bin/ssh",
)
# Looked at for bytecode: our own modules, a package's, Python's own.
_COMPILED: Final = (
    "app/services/shared/chassis",
    "opt/ringmaster/lib/python3.11/site-packages/flask",
    "usr/lib/python3.11/json",
)
# As the cluster does it: the root can't be written, /tmp is the pod's own, data is a volume.
_ENTER: Final = """
set -e
mount --bind "$ROOT" "$ROOT"
mount -o remount,ro,bind "$ROOT"
mount -t tmpfs -o size=64m tmpfs "$ROOT/tmp"
mount --bind "$DATA" "$ROOT/mnt"
mount --rbind /dev "$ROOT/dev"
mount -t proc proc "$ROOT/proc"
exec env -i --chdir=/ /usr/sbin/chroot --userspec=10001:10001 "$ROOT" /usr/bin/env --chdir=/app "$@"
"""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Image:
    """What an image says of itself."""

    root: Path
    environment: dict[str, str]
    command: list[str]
    user: str
    health: list[str]


def probe_all(names: list[str], say: Say) -> None:
    """Probe every image. Raises Unbuildable with what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder), BASE_PORT)
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - the images' account has to come through
        parts = infrastructure(layout)
        try:
            for part in parts:
                part.start()
                part.wait_until_ready()
            ensure_topics(layout.address("kafka"), definitions())
            scenario = layout.path("scenario.yaml")
            scenario.write_text("minutes: 60\nseed: 1\nlines: []\nagents: []\n", encoding="utf-8")
            parts.append(switch_part(layout, {}, scenario))
            parts[-1].start()
            environments = {part.name: part.environment for part in services(layout, {})}
            _give_away(layout.folder)
            for name in names:
                _probe(name, environments.get(name, environments["console"]), layout.folder)
                say(f"  {name:<9} starts on a read-only root, answers, and stops")
        finally:
            for part in reversed(parts):
                part.stop()


def _probe(name: str, given: dict[str, str], data: Path) -> None:
    with opened(name) as image:
        _judge(name, image)
        own = {key: text.replace(str(data), "/mnt") for key, text in given.items() if key.startswith("RINGMASTER_")}
        environment = image.environment | own
        if name == "tools":
            _must_end(name, _entered(image, data, environment, [*image.command[:3], "topics", "check"]))
        else:
            _ask(name, image, data, environment)


def _judge(name: str, image: Image) -> None:
    """Refuse what an image may not be."""
    if image.user != "10001:10001":
        raise Unbuildable(f"{name} runs as {image.user}")
    for each in _FORBIDDEN:
        if (image.root / each).exists():
            raise Unbuildable(f"{name} holds /{each}")
    for folder in _COMPILED:
        if left := [path for path in (image.root / folder).glob("*.py") if not _kept(path).exists()]:
            raise Unbuildable(f"{name} compiles {left[0].relative_to(image.root)} at each start")
    listed = json.loads((image.root / "usr/share/ringmaster/sbom.cdx.json").read_text(encoding="utf-8"))
    named = {one["name"].lower().replace("_", "-") for one in listed["components"]}
    for found in (image.root / "opt/ringmaster/lib/python3.11/site-packages").glob("*.dist-info"):
        package = found.name.partition("-")[0].lower().replace("_", "-")
        if package not in named:
            raise Unbuildable(f"{name} holds {package}, which its list of parts does not name")


def _kept(source: Path) -> Path:
    """Return where Python 3.11 looks for a module's bytecode."""
    return source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"


def _ask(name: str, image: Image, data: Path, environment: dict[str, str]) -> None:
    """Start it, wait until it is ready, ask as its health check does, and stop it."""
    url = f"http://127.0.0.1:{environment['RINGMASTER_HTTP_PORT']}"
    process = _entered(image, data, environment, image.command)
    try:
        wait_until(lambda: process.poll() is not None or _answers(f"{url}/readyz"), f"{name} is ready", READY_SECONDS)
        if process.poll() is not None:
            raise Unbuildable(f"{name} ended with {process.returncode}: {_said(process)}")
        _must_end(name, _entered(image, data, environment, image.health))
        # A root that can be written would take this.
        writes = _entered(image, data, environment, ["python", "-c", "open('/app/x', 'w')"])
        if writes.wait(STOP_SECONDS) == 0:
            raise Unbuildable(f"{name} can write its own root")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_SECONDS)
    if code != 0:
        raise Unbuildable(f"{name} stopped with {code}: {_said(process)}")


def _must_end(name: str, process: "subprocess.Popen[bytes]") -> None:
    code = process.wait(STOP_SECONDS)
    if code != 0:
        raise Unbuildable(f"{name}: {process.args!r} ended with {code}: {_said(process)}")


def _entered(image: Image, data: Path, environment: dict[str, str], command: list[str]) -> "subprocess.Popen[bytes]":
    words = [f"{name}={text}" for name, text in environment.items()]
    return subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _ENTER, "sh", *words, *command],
        env={"PATH": os.environ["PATH"], "ROOT": str(image.root), "DATA": str(data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _said(process: "subprocess.Popen[bytes]") -> str:
    return process.stderr.read().decode(errors="replace")[-600:] if process.stderr else ""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def opened(name: str) -> Iterator[Image]:
    """Give an image's files and words, and put it away again."""
    container = _out("buildah", "from", image_of(name))
    try:
        told = json.loads(_out("buildah", "inspect", "--type=image", image_of(name)))
        config: dict[str, Any] = told["Docker"]["config"]
        yield Image(
            Path(_out("buildah", "mount", container)),
            dict(each.split("=", 1) for each in config["Env"]),
            [*(config["Entrypoint"] or ()), *(config["Cmd"] or ())],
            config["User"],
            (config.get("Healthcheck") or {}).get("Test", ["CMD"])[1:],
        )
    finally:
        _out("buildah", "rm", container)


def _out(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout.strip()


def _give_away(folder: Path) -> None:
    """Let the images' account write its data, as fsGroup does in the cluster."""
    for name in ("recordings", "spool", "secrets", "prompts", "call-records", "report-tables"):
        (folder / name).mkdir(exist_ok=True)
        for path in (folder / name, *(folder / name).rglob("*")):
            os.chown(path, 10001, 10001)
