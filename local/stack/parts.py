import json
import os
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path

from local.broker import fallback, kafka
from local.stack import real_switch
from local.stack.layout import OBJECTS_GRPC, ROOT, Layout, kafka_cluster
from local.stack.part import Part, answers, listens, takes_requests
from local.stack.real_switch import DIRECTORY_PASSWORD, ESL_PASSWORD, PHONE_SECRET
from services.recorder.adapters.engines import embedded
from services.shared.testing.document_store import store_command
from services.shared.testing.object_store import objects_command

NODE = "fs-1"
BUCKET = "recordings"
S3_ACCESS_KEY = "ringmaster"
# Secrets of a stack on loopback: they guard nothing and are the same each time, so that a person can type them.
S3_SECRET_KEY = "ringmaster-local"  # noqa: S105 - see above
WEBHOOK_SECRET = "whsec_cmluZ21hc3Rlci1sb2NhbC13ZWJob29rcw=="  # noqa: S105 - see above
SECRETS_KEY = "cmluZ21hc3Rlci1sb2NhbC1zZWNyZXRzLWtleSEhISE="
ADMIN_TOKEN = "local-admin"  # noqa: S105 - see above
AGENT, AGENT_TOKEN = "olena", "local-olena"
"""One of the first company's agents, whose desk can be looked at."""
SERVICES = ("console", "stats", "webhooks", "recorder", "router", "listener")
ON_THE_WAY = ("router", "listener")
"""Of the services, those between an event of the switch and the command that follows."""
TENANTS = ("acme", "borealis")
# The companies of a drill (local/stack/drill.py).
DRILLED = ("drill0", "drill1")
# The simulated callers speak English; the smallest model leaves the two cores of a small machine to the calls.
SPEECH_ENGINE = "embedded:tiny.en"
# What callers say to menus is heard in any of their languages; it starts with the first of them.
MENU_ENGINE = "embedded:base"
MODELS = ROOT / "build" / "models"


def infrastructure(layout: Layout) -> list[Part]:
    """Return broker, document store and object store, and a real FreeSWITCH where one is asked for.

    Without a broker where KAFKA_BOOTSTRAP names a cluster. Raises PartFailed, and BrokerMissing without any broker.
    """
    parts = [_documents(layout), _objects(layout)]
    if kafka_cluster() is None:
        parts.insert(0, _broker(layout))
    real = real_switch.asked_for(layout)
    if real is not None and real.program is not None:
        parts.append(real_switch.freeswitch(layout, real))
    return parts


def services(layout: Layout, clock: dict[str, str]) -> list[Part]:
    """Return the platform's six services and the receiver of its webhooks."""
    _write_secrets(layout)
    for folder in ("recordings", "spool", "prompts"):
        layout.path(folder).mkdir(exist_ok=True)
    environment = _environment(layout) | clock
    parts = [_receiver(layout)]
    for name in SERVICES:
        own = {"RINGMASTER_HTTP_PORT": str(layout.port(name))}
        parts.append(
            Part(
                name,
                [sys.executable, "-m", f"services.{name}"],
                _healthy(layout.url(name, "/healthz")),
                layout.path("logs", f"{name}.log"),
                environment | own,
                gives_way=name not in ON_THE_WAY,
            )
        )
    return parts


def transcriber(layout: Layout, clock: dict[str, str]) -> Part | str:
    """Return the recorder's second role, or one line that says why nothing is written down.

    RINGMASTER_TRANSCRIBE_ENGINE names another recogniser; `none` leaves it out, and so do measurements of the rest.
    """
    engine = os.environ.get("RINGMASTER_TRANSCRIBE_ENGINE", SPEECH_ENGINE)
    if engine == "none":
        return "left out, as RINGMASTER_TRANSCRIBE_ENGINE says"
    if engine == SPEECH_ENGINE and not embedded.is_present("tiny.en"):
        return "recordings are stored, but not written down: `make models` fetches the speech models"
    own = {
        "RINGMASTER_HTTP_PORT": str(layout.port("transcriber")),
        "RINGMASTER_TRANSCRIBE_ENGINE": engine,
        "RINGMASTER_TRANSCRIBE_CLIP_ENGINE": MENU_ENGINE if embedded.is_present("base") else engine,
        "RINGMASTER_TRANSCRIBE_MODELS": str(MODELS),
        "RINGMASTER_NODE": "transcriber",
    }
    return Part(
        "transcriber",
        [sys.executable, "-m", "services.recorder", "transcribe"],
        _healthy(layout.url("transcriber", "/healthz")),
        layout.path("logs", "transcriber.log"),
        _environment(layout) | clock | own,
        gives_way=True,
    )


def switch(layout: Layout, clock: dict[str, str], scenario: Path) -> Part:
    """Return the callers and agents: inside the simulated FreeSWITCH, or by SIPp in front of a real one."""
    real = real_switch.asked_for(layout)
    if real is not None:
        return real_switch.phones(layout, real, scenario)
    command = [sys.executable, "-m", "local.switch"]
    options = {
        "port": layout.port("event_socket"),
        "password": ESL_PASSWORD,
        "http-port": layout.port("switch"),
        "recordings": layout.path("recordings"),
        "call-records": layout.path("call-records"),
        "speed": clock.get("RINGMASTER_CLOCK_SPEED", "1"),
        "scenario": scenario,
    }
    if "RINGMASTER_CLOCK_EPOCH" in clock:
        options |= {"epoch": clock["RINGMASTER_CLOCK_EPOCH"], "wall0": clock["RINGMASTER_CLOCK_WALL0"]}
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    command.append("--waits")
    return Part("switch", command, _healthy(layout.url("switch", "/status")), layout.path("logs", "switch.log"))


def _broker(layout: Layout) -> Part:
    port = layout.port("kafka")
    try:
        kafka.ensure_jars(may_install=True)
        command = kafka.prepare(layout.path("broker"), port, layout.port("kafka_controller"))
    except kafka.BrokerMissing as missing:
        command = fallback.prepare(layout.path("broker-fallback"), port)
        sys.stdout.write(f"{missing} {fallback.WEAKER}\n")
    return Part("broker", command, partial(takes_requests, layout.address("kafka")), layout.path("logs", "broker.log"))


def _documents(layout: Layout) -> Part:
    port = layout.port("documents")
    storage = layout.path("documents")
    storage.mkdir(exist_ok=True)
    command = store_command(port, storage, sweeps=True)
    return Part("documents", command, lambda: listens(port), layout.path("logs", "documents.log"), gives_way=True)


def _objects(layout: Layout) -> Part:
    names = ("objects", "objects_master", "objects_volume", "objects_filer", "objects_admin")
    ports = [(layout.port(name), layout.port(name) + OBJECTS_GRPC) for name in names]
    layout.path("objects").mkdir(exist_ok=True)
    command = objects_command(layout.path("objects"), ports, S3_ACCESS_KEY, S3_SECRET_KEY)
    return Part(
        "objects", command, lambda: listens(layout.port("objects")), layout.path("logs", "objects.log"), gives_way=True
    )


def _receiver(layout: Layout) -> Part:
    command = [sys.executable, "-m", "local.receiver", "--port", str(layout.port("receiver"))]
    command += ["--secret", WEBHOOK_SECRET, "--log", str(layout.path("receiver", "received.log"))]
    ready, log = _healthy(layout.url("receiver", "/summary")), layout.path("logs", "receiver.log")
    return Part("receiver", command, ready, log, gives_way=True)


def _healthy(url: str) -> "_Healthy":
    return _Healthy(url)


class _Healthy:
    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self) -> bool:
        return answers(self._url)


def _environment(layout: Layout) -> dict[str, str]:
    folder = layout.folder
    real = real_switch.asked_for(layout)
    recordings = (real and real.recordings) or str(folder / "recordings")
    return {
        "PYTHONPATH": str(ROOT),
        "RINGMASTER_KAFKA_BOOTSTRAP": layout.address("kafka"),
        "RINGMASTER_MONGODB_URI": f"mongodb://{layout.address('documents')}",
        "RINGMASTER_S3_ENDPOINT": layout.url("objects"),
        "RINGMASTER_S3_BUCKET": BUCKET,
        "RINGMASTER_S3_ACCESS_KEY": S3_ACCESS_KEY,
        "RINGMASTER_S3_SECRET_KEY": S3_SECRET_KEY,
        "RINGMASTER_HTTP_HOST": "127.0.0.1",
        "RINGMASTER_NODE": NODE,
        "RINGMASTER_RECORDINGS_DIR": recordings,
        "RINGMASTER_SPOOL_DIR": str(folder / "spool"),
        "RINGMASTER_CALL_RECORDS": str(folder / "call-records" / "cdr-csv" / "Master.csv"),
        "RINGMASTER_STATS_FOLDER": str(folder / "report-tables"),
        "RINGMASTER_PROMPTS_DIR": str(folder / "prompts"),
        "RINGMASTER_ESL_HOST": real.host if real else "127.0.0.1",
        "RINGMASTER_ESL_PORT": str(real.event_socket_port if real else layout.port("event_socket")),
        "RINGMASTER_ESL_PASSWORD": real.password if real else ESL_PASSWORD,
        "RINGMASTER_DIRECTORY_PASSWORD": DIRECTORY_PASSWORD,
        "RINGMASTER_PHONE_SECRET": PHONE_SECRET,
        "RINGMASTER_ERASURE_SECRET": "ringmaster-local-erasures-of-persons",
        "RINGMASTER_API_TOKENS": str(folder / "secrets" / "tokens.json"),
        "RINGMASTER_WEBHOOK_SECRETS": str(folder / "secrets" / "webhooks.json"),
        "RINGMASTER_WEBHOOK_ALLOW_PRIVATE": "127.0.0.1/32",
        "RINGMASTER_LOOKUP_ALLOW_PRIVATE": "127.0.0.1/32",
        "RINGMASTER_WEBHOOK_LADDER": "0,1,2,5,10,20,30",
    }


def _write_secrets(layout: Layout) -> None:
    tokens = {_digest(ADMIN_TOKEN): {"tenant": "*", "role": "admin", "actor": "local"}}
    for tenant in TENANTS:
        tokens[_digest(f"local-{tenant}")] = {"tenant": tenant, "role": "supervisor", "actor": f"{tenant}-supervisor"}
    tokens[_digest(AGENT_TOKEN)] = {"tenant": TENANTS[0], "role": "agent", "actor": AGENT}
    layout.path("secrets", "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")
    secrets: dict[str, object] = {f"{tenant}/receiver": [WEBHOOK_SECRET] for tenant in (*TENANTS, *DRILLED)}
    secrets["key"] = SECRETS_KEY
    layout.path("secrets", "webhooks.json").write_text(json.dumps(secrets), encoding="utf-8")


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
