"""What a registered model asks for is all that its code can import."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib import metadata
from importlib.metadata import packages_distributions

import pytest
import tiny
from packaging.requirements import Requirement

from goodfit.config.compose import compose
from goodfit.config.signature import source_file
from goodfit.errors import UserError
from goodfit.provenance.code import Roots, imported_names, source_hashes
from goodfit.system.extras import EXTRAS
from goodfit.tracking.package import REQUIREMENTS, requirements

GROUPS = ("data", "model", "task")


def loading_modules() -> list[str]:
    """The modules of this project that MLflow's loading of any model can reach."""
    roots = ["goodfit.tracking.pyfunc"]
    for group in GROUPS:
        for path in (tiny.ROOT / "src/goodfit" / group).glob("[!_]*.py"):
            roots.append(f"goodfit.{group}.{path.stem}")
    return [name for name in source_hashes(Roots(tuple(roots))) if "version" not in name]


@pytest.mark.slow
def test_the_requirements_are_all_that_loading_and_predicting_imports() -> None:
    packages = set()
    for module in loading_modules():
        path = source_file(module)
        assert path is not None
        packages |= {name.partition(".")[0] for name in imported_names(ast.parse(path.read_text()))}

    # openpyxl reads workbooks of raw data, inside the function that does
    foreign = packages - sys.stdlib_module_names - {"goodfit", "mlflow", "openpyxl"}
    distributions = packages_distributions()
    assert {distributions[name][0] for name in foreign} == set(REQUIREMENTS) | set(EXTRAS)


def test_only_a_model_that_needs_an_extra_asks_for_it() -> None:
    """Of text; lxml reads raw data, but in the module whose encoding a served model uses."""
    plain = requirements(compose(tiny.ROOT, [f"experiment={tiny.QUICK}"]))
    assert [line.partition("==")[0] for line in plain] == list(REQUIREMENTS)
    texts = requirements(compose(tiny.ROOT, ["experiment=translation"]))
    assert texts[: len(plain)] == plain
    of_text = {library for library, extra in EXTRAS.items() if extra == "text"}
    assert {line.partition("==")[0] for line in texts} - set(REQUIREMENTS) == of_text


def test_a_library_that_is_not_installed_is_told_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        if name == "tokenizers":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UserError, match=r"^tokenizers is not installed; .* -e '.\[text\]'"):
        source_hashes(Roots(("goodfit.system.tokenizer",)))


def test_every_library_of_an_extra_is_declared_there() -> None:
    content = tomllib.loads((tiny.ROOT / "pyproject.toml").read_text())
    declared = content["project"]["optional-dependencies"]
    for library, extra in EXTRAS.items():
        names = [Requirement(line).name for line in declared[extra]]
        assert library in names
