"""A Secret that lacks a key is refused before anything is changed: helm asks the API server for it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from deploy.tools.schema import CHART
from tests.deploy.conftest import manifests

SECRET = "/api/v1/namespaces/voice/secrets/ringmaster"
KEYS = {
    *("mongodb-uri", "esl-password", "s3-access-key", "s3-secret-key", "directory-password", "phone-secret"),
    *("erasure-secret", "tokens.json", "webhooks.json"),
}
Upgraded = Callable[[set[str] | None], "subprocess.CompletedProcess[str]"]


def discovery(kinds: dict[str, set[str]]) -> dict[str, Any]:
    """Return what an API server says that it has, by path: the kinds of each apiVersion."""
    answers: dict[str, Any] = {"/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.2"}}
    answers["/api"] = {"kind": "APIVersions", "versions": ["v1"]}
    groups = []
    for version, names in kinds.items():
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        each = [{"name": f"{name.lower()}s", "namespaced": True, "kind": name, "verbs": ["get"]} for name in names]
        answers[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": each}
        if "/" in version:
            own = {"groupVersion": version, "version": version.partition("/")[2]}
            groups.append({"name": version.partition("/")[0], "versions": [own], "preferredVersion": own})
    return answers | {"/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}}


@contextmanager
def api_server(answers: dict[str, Any], keys: set[str] | None) -> Iterator[str]:
    """Answer what helm asks of an API server; the Secret has these keys, or there is none."""
    if keys is not None:
        about = {"name": "ringmaster", "namespace": "voice"}
        answers |= {
            SECRET: {"kind": "Secret", "apiVersion": "v1", "metadata": about, "data": dict.fromkeys(keys, "eA==")}
        }

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(missing if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def upgraded(helm_program: Path, rendered: Callable[[str], str], tmp_path: Path) -> Upgraded:
    kinds: dict[str, set[str]] = {"v1": {"Secret"}}
    for one in manifests(rendered("minimal")):
        kinds.setdefault(one["apiVersion"], set()).add(one["kind"])

    def upgrade(keys: set[str] | None) -> "subprocess.CompletedProcess[str]":
        with api_server(discovery(kinds), keys) as url:
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "x",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            }
            path = tmp_path / "kubeconfig"
            path.write_text(yaml.safe_dump(config), encoding="utf-8")
            example = f"--values={CHART / 'ci' / 'minimal-values.yaml'}"
            words = [
                "template",
                "voice",
                str(CHART),
                "--namespace=voice",
                example,
                "--dry-run=server",
                "--disable-openapi-validation",
            ]
            command = [str(helm_program), *words, f"--kubeconfig={path}"]
            environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)

    return upgrade


def test_a_secret_that_lacks_keys_is_refused_with_their_names(upgraded: Upgraded) -> None:
    done = upgraded(KEYS - {"erasure-secret", "tokens.json"})
    assert done.returncode != 0
    assert "the Secret ringmaster in voice has no erasure-secret, tokens.json: add it" in done.stderr


def test_a_whole_secret_is_taken(upgraded: Upgraded) -> None:
    done = upgraded(KEYS | {"of-somebody-else"})
    assert done.returncode == 0, done.stderr


def test_a_secret_that_another_program_will_make_is_not_waited_for(upgraded: Upgraded) -> None:
    done = upgraded(None)
    assert done.returncode == 0, done.stderr
