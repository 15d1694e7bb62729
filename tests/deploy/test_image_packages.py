"""Each image holds what its programs import: our folders, as its stage copies them; packages, as its extra names them.

Read off the sources and the installed packages' own metadata, so that a forgotten package is found without an image.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import distribution, packages_distributions
from typing import Final

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.tools.chart_settings import ROOT
from deploy.tools.image_names import NAMES
from services.cli.table import COMMANDS

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What an image starts, where it is not everything in the service's own folder: the recorder's folder serves two roles,
# each with its own packages, and the command line starts what its table names.
ENTRIES: Final = {
    "recorder": ("services.recorder.bootstrap", "services.recorder.settings"),
    "transcribe": (
        "services.recorder.transcribe_bootstrap",
        "services.recorder.transcribe_settings",
        "services.recorder.scribe_process",
    ),
    "tools": ("services.cli.__main__", *(command.module for command in COMMANDS.values())),
}
# Packages without a line to import: zones, fonts, words.
DATA: Final = {"fontpkg-noto-sans", "fontpkg-pt-sans", "pymorphy3-dicts-uk", "tzdata"}


@cache
def imports() -> grimp.ImportGraph:
    """Return who imports whom, also inside of functions, but not for types only.

    Read anew: a cache on the disk goes by files' times, and was seen to miss imports after another commit was taken.
    """
    return grimp.build_graph(
        "services", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def entries(image: str) -> Iterable[str]:
    folder = f"services.{image}"
    return ENTRIES.get(image) or [module for module in imports().modules if f"{module}.".startswith(f"{folder}.")]


@cache
def reached(image: str) -> set[str]:
    """Return all modules that an image's programs may import, with the packages in which they lie."""
    waiting, found = set(entries(image)), set[str]()
    while waiting:
        module = waiting.pop()
        found.add(module)
        above = {module.rpartition(".")[0]} - {""}
        waiting |= (imports().find_modules_directly_imported_by(module) | above) - found
    return found


def installed(names: Iterable[str]) -> set[str]:
    """Return the distributions that pip installs for requirements like `boto3>=1.38` or `ringmaster[console]`."""
    waiting, found = [Requirement(name) for name in names], set[tuple[str, frozenset[str]]]()
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) not in found:
            found.add((name, extras))
            waiting += needs(name, extras)
    return {name for name, _ in found} - {"ringmaster"}


@cache
def needs(name: str, extras: frozenset[str]) -> list[Requirement]:
    if name == "ringmaster":
        return [Requirement(need) for extra in extras for need in PROJECT["optional-dependencies"][extra]]
    wanted = [Requirement(text) for text in distribution(name).requires or ()]
    chosen = [{"extra": extra} for extra in extras or {""}]
    return [one for one in wanted if one.marker is None or any(one.marker.evaluate(extra) for extra in chosen)]


@cache
def providers() -> Mapping[str, list[str]]:
    return packages_distributions()


def given_by(package: str) -> set[str]:
    """Return the distributions that bring a package to import, as the lock spells them."""
    return {canonicalize_name(name) for name in providers().get(package, ())}


def missing(image: str, extra: list[str]) -> dict[str, set[str]]:
    """Return the packages that nobody installs, each with the modules of ours that import it."""
    provided = installed([*PROJECT["dependencies"], *extra])
    modules = reached(image)
    packages = {module for module in modules if not module.startswith("services")} - sys.stdlib_module_names
    return {
        package: imports().find_modules_that_directly_import(package) & modules
        for package in packages
        if not given_by(package) & provided
    }


@pytest.mark.parametrize("image", NAMES)
def test_an_extra_installs_all_packages_that_its_service_imports(image: str) -> None:
    assert missing(image, PROJECT["optional-dependencies"][image]) == {}


@pytest.mark.parametrize("image", NAMES)
def test_a_package_that_an_extra_forgets_is_found(image: str) -> None:
    extra = PROJECT["optional-dependencies"][image]
    for forgotten in extra:
        others = [one for one in extra if one != forgotten]
        lost = installed([forgotten]) - installed([*PROJECT["dependencies"], *others])
        assert lost <= DATA or missing(image, others), f"nobody would miss {forgotten}"


@pytest.mark.parametrize("image", NAMES)
def test_the_lock_has_what_an_extra_installs(image: str) -> None:
    locked = set(re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==", (ROOT / "requirements.lock").read_text(encoding="utf-8")))
    wanted = installed([*PROJECT["dependencies"], *PROJECT["optional-dependencies"][image]])
    assert wanted <= {canonicalize_name(name) for name in locked}


@pytest.mark.parametrize("image", NAMES)
def test_a_stage_copies_all_of_our_folders_that_its_service_imports(image: str) -> None:
    text = (ROOT / "deploy" / "images" / "Dockerfile").read_text(encoding="utf-8")
    stages = dict(re.findall(r"(?ms)^FROM \S+ AS (\w+)$(.*?)(?=^FROM |\Z)", text))
    copied = re.findall(r"(?m)^COPY --from=packages /app/services/(\S+) ", stages["runtime"] + stages[image])
    folders = {module.split(".")[1] for module in reached(image) if module.startswith("services.")}
    assert folders <= set(copied)


def test_every_module_of_a_service_is_in_an_image_that_this_test_reads() -> None:
    ours = {module for module in imports().modules if module.startswith("services.")}
    left = ours.difference(*(reached(image) for image in NAMES))
    assert {module for module in left if not module.startswith("services.shared.testing")} == {
        "services.recorder.__main__"
    }
