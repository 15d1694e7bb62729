"""Real processes with the environment that the chart gives, and one thing wrong: each says which, and why.

The environment is read off the rendered manifests, so that a chart which starts nothing is found here too.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools.chart_settings import ROOT, SERVICES
from deploy.tools.programs import ProgramMissing, helm
from deploy.tools.schema import CHART
from services.shared.testing.waiting import wait_until

SECRETS = {
    "mongodb-uri": "mongodb://127.0.0.1:9",
    "esl-password": "a-secret-of-these-tests",
    "s3-access-key": "ringmaster",
    "s3-secret-key": "a-secret-of-these-tests",
    "directory-password": "a-secret-of-these-tests",
    "phone-secret": "a-secret-of-these-tests",
    "erasure-secret": "a-secret-of-these-tests-for-erasures",
}
_PROGRAMS = {"transcribe": ["services.recorder", "transcribe"]}
NOBODY = "127.0.0.1:9"
"""Where nobody listens."""
pytestmark = pytest.mark.stack


@dataclass
class Tried:
    """A process that was started with a wrong environment."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int
    ended: int | None = None

    def told(self) -> str:
        """Return what a person would see: the last words of a pod that ended, or why one is not ready."""
        return self.log.read_text(encoding="utf-8", errors="replace") + self._unready()

    def _unready(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                return ""
        except urllib.error.HTTPError as error:
            return f"readyz says {error.read().decode()}"
        except OSError:
            return ""


@dataclass(frozen=True)
class Wrong:
    """What is wrong, and the words that must be said. `changes` are variables; None takes one away."""

    service: str
    words: str
    changes: dict[str, str | None] = field(default_factory=dict)
    without_file: str = ""


WRONG = {
    **{f"{service} without Kafka": Wrong(service, "no broker answers") for service in SERVICES},
    "listener without a password": Wrong("listener", "RINGMASTER_ESL_PASSWORD is not set", {"ESL_PASSWORD": None}),
    "router without a document store": Wrong("router", "RINGMASTER_MONGODB_URI is not set", {"MONGODB_URI": None}),
    "router that takes its time": Wrong(
        "router", "RINGMASTER_ROUTER_SESSION_SECONDS must be at least 1", {"ROUTER_SESSION_SECONDS": "0.5"}
    ),
    "recorder without a key": Wrong("recorder", "RINGMASTER_S3_SECRET_KEY is not set", {"S3_SECRET_KEY": None}),
    "recorder with a wrong number": Wrong(
        "recorder", "RINGMASTER_RECORDER_WORKERS must be a whole number", {"RECORDER_WORKERS": "many"}
    ),
    "webhooks without secrets": Wrong("webhooks", "webhooks.json: No such file", without_file="webhooks.json"),
    "stats without tokens": Wrong("stats", "tokens.json: No such file", without_file="tokens.json"),
    "console without tokens": Wrong("console", "tokens.json: No such file", without_file="tokens.json"),
    "console with a short secret": Wrong(
        "console", "RINGMASTER_PHONE_SECRET must have 16 characters at least", {"PHONE_SECRET": "short"}
    ),
    "transcription by an unknown engine": Wrong(
        "transcribe", "the engine 'siri' is unknown", {"TRANSCRIBE_ENGINE": "siri"}
    ),
    "console with a user in the clear": Wrong(
        "console", "RINGMASTER_KAFKA_USER needs RINGMASTER_KAFKA_CA_FILE", {"KAFKA_USER": "x", "KAFKA_PASSWORD": "y"}
    ),
}


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    try:
        program = helm()
    except ProgramMissing as missing:
        pytest.skip(str(missing))
    values = CHART / "ci" / "minimal-values.yaml"
    command = [str(program), "template", "voice", str(CHART), f"--values={values}", "--set=transcribe.enabled=true"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def environment_of(manifests: list[dict[str, Any]], container: str, folder: Path) -> dict[str, str]:
    """Resolve a container's variables as the cluster would, with the pod's folders in `folder`."""
    running = [one for one in manifests if one["kind"] in ("Deployment", "StatefulSet", "Job", "Pod")]
    pods = [one["spec"].get("template", one)["spec"] for one in running]
    (found,) = (
        one for pod in pods for one in (*pod.get("initContainers", ()), *pod["containers"]) if one["name"] == container
    )
    return {variable["name"]: _resolved(variable, folder) for variable in found["env"]}


def _resolved(variable: dict[str, Any], folder: Path) -> str:
    source = variable.get("valueFrom", {})
    if "secretKeyRef" in source:
        return SECRETS[source["secretKeyRef"]["key"]]
    if "fieldRef" in source:
        return {"status.podIP": "127.0.0.1", "metadata.name": "voice-ringmaster-0"}[source["fieldRef"]["fieldPath"]]
    text = str(variable["value"])
    return f"{folder}{text}" if text.startswith("/") else text


def start(wrong: Wrong, manifests: list[dict[str, Any]], folder: Path, port: int) -> Tried:
    for place in ("state", "recordings", "sounds", "etc/ringmaster"):
        (folder / place).mkdir(parents=True)
    for name in {"tokens.json", "webhooks.json"} - {wrong.without_file}:
        (folder / "etc" / "ringmaster" / name).write_text("{}", encoding="utf-8")
    given = environment_of(manifests, wrong.service, folder)
    given |= {"RINGMASTER_KAFKA_BOOTSTRAP": NOBODY, "RINGMASTER_HTTP_PORT": str(port)}
    given |= {f"RINGMASTER_{name}": text for name, text in wrong.changes.items() if text is not None}
    for name, text in wrong.changes.items():
        if text is None:
            del given[f"RINGMASTER_{name}"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *_PROGRAMS.get(wrong.service, [f"services.{wrong.service}"])],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **given},
        )
    return Tried(process, log, port)


@pytest.fixture(scope="module")
def tried(manifests: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tried]]:
    """Start all at once: each of them only waits."""
    found = {
        name: start(wrong, manifests, tmp_path_factory.mktemp("pod"), 24_600 + number)
        for number, (name, wrong) in enumerate(WRONG.items())
    }
    yield found
    for one in found.values():
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(tried: dict[str, Tried], name: str) -> None:
    one = tried[name]
    wait_until(lambda: WRONG[name].words in one.told(), f"{name} says {WRONG[name].words!r}, not {one.told()[-500:]!r}")
    said = one.told()
    assert "Traceback" not in said, said
    whole = [line for line in one.log.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    assert all({"event", "level", "timestamp", "service"} <= json.loads(line).keys() for line in whole), said
    assert not any(secret in said for secret in SECRETS.values() if "secret" in secret)


def test_a_job_says_what_it_misses_too(manifests: list[dict[str, Any]], tmp_path: Path) -> None:
    given = environment_of(manifests, "topics", tmp_path) | {"RINGMASTER_KAFKA_BOOTSTRAP": NOBODY}
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "topics", "create"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **given},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (3, f"no broker answers at {NOBODY}: Connection refused\n")


def test_the_doctors_pod_names_all_that_is_wrong_at_once(manifests: list[dict[str, Any]], tmp_path: Path) -> None:
    given = environment_of(manifests, "doctor", tmp_path) | {"RINGMASTER_KAFKA_BOOTSTRAP": NOBODY}
    del given["RINGMASTER_PHONE_SECRET"]
    given["RINGMASTER_S3_ENDPOINT"] = f"http://{NOBODY}"
    given["RINGMASTER_DOCTOR_SERVICES"] = f"router=http://{NOBODY}"
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **given},
        timeout=60,
    )
    ill = {one["check"] for one in json.loads(done.stdout) if one["state"] == "ILL"}
    assert done.returncode == 1
    assert ill == {"broker", "topics", "documents", "objects", "tokens", "webhooks", "phones", "services"}
