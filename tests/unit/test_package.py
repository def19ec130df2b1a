"""What a registered model asks for is all that its code can import."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions

import tiny

from goodfit.config.signature import source_file
from goodfit.provenance.code import Roots, imported_names, source_hashes
from goodfit.tracking.package import REQUIREMENTS

GROUPS = ("data", "model", "task")


def loading_modules() -> list[str]:
    """The modules of this project that MLflow's loading of any model can reach."""
    roots = ["goodfit.tracking.pyfunc"]
    for group in GROUPS:
        for path in (tiny.ROOT / "src/goodfit" / group).glob("[!_]*.py"):
            roots.append(f"goodfit.{group}.{path.stem}")
    return [name for name in source_hashes(Roots(tuple(roots))) if "version" not in name]


def test_the_requirements_are_all_that_loading_and_predicting_imports() -> None:
    packages = set()
    for module in loading_modules():
        path = source_file(module)
        assert path is not None
        packages |= {name.partition(".")[0] for name in imported_names(ast.parse(path.read_text()))}

    foreign = packages - sys.stdlib_module_names - {"goodfit", "mlflow"}
    distributions = packages_distributions()
    assert {distributions[name][0] for name in foreign} == set(REQUIREMENTS)
