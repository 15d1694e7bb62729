"""Which recogniser a setting names."""

from pathlib import Path

from services.recorder.adapters.engines.embedded import model_folder
from services.recorder.adapters.engines.openai import OpenAi
from services.recorder.adapters.engines.port import Engine, EngineRefused
from services.recorder.adapters.engines.vosk import Vosk
from services.recorder.adapters.engines.whisper import Whisper

FORMS = (
    "embedded:base, embedded:tiny.en, folder:/path/of/a/faster-whisper/model, "
    "vosk:uk=ws://host:2700,en=ws://host:2701, openai:https://host/v1#model"
)


def choose(named: str, cache: Path, threads: int, key: str = "", device: str = "cpu") -> Engine:
    """Make the recogniser. Raises EngineRefused with one sentence when it can't be had."""
    kind, _, rest = named.partition(":")
    if kind == "embedded":
        name = rest or "base"
        return Whisper(model_folder(name, cache), name, threads, device=device)
    if kind == "folder" and rest:
        return Whisper(_folder(rest), Path(rest).name, threads, device=device)
    if kind == "vosk" and rest:
        servers = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        return Vosk(servers)
    if kind == "openai" and rest:
        base, _, model = rest.rpartition("#")
        return OpenAi(base, model, key)
    raise EngineRefused(f"the engine {named[:60]!r} is unknown; it must be one of {FORMS}")


def _folder(path: str) -> Path:
    folder = Path(path)
    if not (folder / "model.bin").is_file():
        raise EngineRefused(f"{folder} holds no model.bin: it is no faster-whisper model")
    return folder
