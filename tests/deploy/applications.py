"""Each service's web application, by its component in the chart; nobody is behind it."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

from flask import Flask

from services.console.bootstrap import Console
from services.recorder import bootstrap as recorder
from services.recorder import transcribe_bootstrap as transcriber
from services.recorder.settings import Settings
from services.recorder.transcribe_settings import TranscribeSettings
from services.shared.chassis.web import service_app
from services.stats import bootstrap as stats
from services.webhooks import application as webhooks
from services.webhooks.api.lookup import lookup_routes


def applications(folder: Path) -> dict[str, Flask]:
    """Make them; only their names and routes may be looked at."""
    nobody: Any = Mock()
    hooks = service_app("webhooks", nobody)
    hooks.register_blueprint(lookup_routes(nobody, nobody, nobody, nobody))
    webhooks.add_routes(hooks, nobody, nobody, nobody)
    return {
        "console": Console(nobody).application(),
        "stats": stats.application(nobody, nobody, nobody, nobody),
        "webhooks": hooks,
        "recordings": recorder.build(Settings(node="x", recordings_dir=folder, **_outside(folder)), nobody).app,
        "transcribe": transcriber.build(TranscribeSettings(**_outside(folder)), nobody).app,
    }


def _outside(folder: Path) -> dict[str, Any]:
    (folder / "tokens.json").write_text("{}", encoding="utf-8")
    words = ("kafka_bootstrap", "s3_endpoint", "s3_bucket", "s3_access_key", "s3_secret_key")
    nowhere = dict.fromkeys(words, "http://127.0.0.1:1")
    return {**nowhere, "mongodb_uri": "mongodb://127.0.0.1:1/?connect=false", "api_tokens": folder / "tokens.json"}
