"""Where a result comes from: the code that made it, the commit, the data, the packages, the machine."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from goodfit.signature import source_file

# a change of these versions can change the numbers, so it re-runs the stages that import them
COMPUTING = {"torch", "pytorch_lightning", "torchmetrics", "numpy", "pandas", "sklearn"}
_DISTRIBUTION = {"pytorch_lightning": "pytorch-lightning", "sklearn": "scikit-learn"}


def code(modules: list[str]) -> dict[str, str]:
    """The hash of every source file that these modules import, directly or not, and versions of libraries.

    Written into the composed configuration, it makes DVC re-run a stage when, and only when, code that the
    stage can reach has changed: a new network in src/goodfit/model re-runs nothing.
    """
    seen: dict[str, Path] = {}
    libraries: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = source_file(module)
        if module in seen or path is None:
            continue
        seen[module] = path
        own, others = _imports(path)
        waiting += own
        libraries |= others & COMPUTING
    files = dict(sorted(seen.items()))
    if "goodfit.report" in seen:  # the pages' text is in templates, which nothing imports
        files |= {path.name: path for path in sorted((seen["goodfit.report"].parent / "templates").iterdir())}
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for name, path in files.items()}
    return hashes | {f"{name} (version)": version(name) for name in sorted(libraries)}


def digest(code: dict[str, str]) -> str:
    """One hash for all that `code` has found."""
    return hashlib.sha256(repr(sorted(code.items())).encode()).hexdigest()[:16]


def version(package: str) -> str:
    """The installed version, without the build: 2.13.0 is 2.13.0 on a CPU and on CUDA."""
    return metadata.version(_DISTRIBUTION.get(package, package)).partition("+")[0]


@cache
def _imports(path: Path) -> tuple[list[str], set[str]]:
    own, others = [], set()
    tree = ast.parse(path.read_text())
    hints = {id(line) for node in ast.walk(tree) if _for_types(node) for line in ast.walk(node)}
    for node in ast.walk(tree):
        names = []
        if id(node) in hints:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        own += [name for name in names if name.startswith("goodfit")]
        others |= {name.partition(".")[0] for name in names if not name.startswith("goodfit")}
    return own, others


def _for_types(node: ast.AST) -> bool:
    """`if TYPE_CHECKING:` runs in no process."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def git() -> dict[str, str]:
    """Commit, branch, and the difference from the commit; what stages themselves write does not count as dirt."""

    def ask(*arguments: str) -> str:
        # a file that is not UTF-8 may stand in the difference
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, errors="replace", check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = ask("rev-parse", "HEAD")
    if not commit:
        return {"commit": "none", "dirty": "unknown", "diff": ""}
    tracked = ["--", ".", ":!dvc.lock"]
    status = ask("status", "--porcelain", *tracked)
    return {
        "commit": commit,
        "branch": ask("rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": str(bool(status)).lower(),
        "diff": f"{status}\n\n{ask('diff', 'HEAD', *tracked)}" if status else "",
    }


def dvc_hash(path: Path) -> str:
    """DVC's hash of a stage's output as dvc.lock has it, "" before its first `dvc repro`."""
    lock = Path("dvc.lock").resolve()
    return _hashes(lock, lock.stat().st_mtime_ns).get(str(path), "") if lock.exists() else ""


@cache
def _hashes(lock: Path, _changed: int) -> dict[str, str]:
    """DVC's hash of each stage's output; read once while the file stays the same, for it takes 0.1 s."""
    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    return {out["path"]: str(out.get("md5", "")) for stage in stages.values() for out in stage.get("outs", [])}


@cache
def packages() -> str:
    """All installed packages with their versions, one a line, as pip would freeze them."""
    found = {f"{item.metadata['Name']}=={item.version}" for item in metadata.distributions()}
    return "\n".join(sorted(found, key=str.lower)) + "\n"


def hardware() -> dict[str, str]:
    """Processor, cores, memory, accelerator, and the versions of Python and torch."""
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }
    if torch := sys.modules.get("torch"):
        facts["torch"] = torch.__version__
        facts["threads"] = str(torch.get_num_threads())
        facts["gpus"] = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) or "none"
    return facts


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def stage_modules(content: dict[str, Any]) -> dict[str, list[str]]:
    """The modules that each stage starts from: its own, and those that the configuration names."""

    def of(*keys: str) -> list[str]:
        return [content[key]["_target_"].rpartition(".")[0] for key in keys]

    return {
        "prepare": ["goodfit.prepare", *of("data")],
        "train": ["goodfit.launch", *of("model", "task", "augment", "guard", "schedule")],
        "evaluate": ["goodfit.evaluate", *of("model", "task", "baseline")],
        "report": ["goodfit.report"],
        "register": ["goodfit.register", *of("data", "model", "task")],  # it carries their code
    }
