"""The embedded model is used only when it is the right one."""

import sys
from hashlib import sha256
from pathlib import Path

import pytest

from services.recorder.adapters.engines import embedded
from services.recorder.adapters.engines.port import EngineRefused

WEIGHTS = b"first half, " + b"second half"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages with the parts of a model, and the model among those that are known."""
    for name, part in (("model_part_a", b"first half, "), ("model_part_b", b"second half")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('nothing of it is run')\n")
        (tmp_path / name / "part").write_bytes(part)
    (tmp_path / "model_part_b" / "config.json").write_text("{}")
    model = embedded.Embedded(
        sha256(WEIGHTS).hexdigest(),
        (("model_part_a", "part"), ("model_part_b", "part")),
        (("model_part_b", "config.json"),),
    )
    monkeypatch.setitem(embedded.MODELS, "toy", model)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_the_parts_are_joined_and_nothing_of_the_packages_is_run(packages: Path, tmp_path: Path) -> None:
    folder = embedded.model_folder("toy", tmp_path / "cache")
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert (folder / "config.json").exists()
    assert embedded.model_folder("toy", tmp_path / "cache") == folder
    assert list((tmp_path / "cache").iterdir()) == [folder]


def test_other_weights_are_refused_and_removed(packages: Path, tmp_path: Path) -> None:
    (packages / "model_part_b" / "part").write_bytes(b"something else")
    with pytest.raises(EngineRefused, match="SHA-256"):
        embedded.model_folder("toy", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_weights_that_are_damaged_later_are_refused_once_and_then_joined_anew(packages: Path, tmp_path: Path) -> None:
    folder = embedded.model_folder("toy", tmp_path / "cache")
    (folder / "model.bin").write_bytes(b"bit rot")
    with pytest.raises(EngineRefused, match="SHA-256"):
        embedded.model_folder("toy", tmp_path / "cache")
    assert embedded.model_folder("toy", tmp_path / "cache").is_dir()


def test_a_package_that_is_missing_is_named_with_what_to_do(packages: Path, tmp_path: Path) -> None:
    (packages / "model_part_a" / "part").unlink()
    assert not embedded.is_present("toy")
    with pytest.raises(embedded.ModelMissing, match="model-part-a is not installed: `make models`"):
        embedded.model_folder("toy", tmp_path / "cache")
