"""The table at the end of `make repro`: what each experiment scored, against what, and where to look next."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from goodfit.errors import UserError
from goodfit.files import read_json, write_text
from goodfit.places import Places

DATABASE = Path("mlflow.db")
INDEX = Path("report/index.html")


def summarize() -> None:
    """Prints one row for each experiment of params.yaml; brings missing runs back into MLflow."""
    names = yaml.safe_load(Path("params.yaml").read_text())["experiments"]
    missing = [name for name in names if not (Places(name).evaluation / "evaluation.json").exists()]
    if missing:
        raise UserError(f"{', '.join(missing)}: not evaluated yet; run `make repro`")
    console = Console()
    console = Console(width=max(console.width, 132))  # piped into a file there is no width, and 80 would break names
    console.print(table(names))
    for name in names:
        if not _tracked(name):
            _restore(name)
    if not INDEX.exists():  # it compares experiments, so it is no output of any one of them for DVC to bring back
        from goodfit import report, report_facts

        write_text(INDEX, report.comparison_page(report_facts.experiments()))
    console.print(
        "Pages: report/index.html    Runs and curves: make ui    Numbers: dvc metrics show\n"
        "Next: python pipelines/train.py experiment=mnist model.width=64, or edit conf/ and `make repro` again",
        style="dim",
    )


def table(names: list[str]) -> Table:
    """Score with 95 % interval, strong baseline, verdict, and what training took."""
    result = Table("experiment", "test score [95 % interval]", "baseline", "verdict", "seconds", box=SIMPLE_HEAD)
    for name in names:
        found = read_json(Places(name).evaluation / "evaluation.json")
        cost = read_json(Places(name).model / "train.json")["cost"]
        key = found["score"]
        ours = found["network"][key]
        strong = next(item for item in found["baselines"] if item["role"] == "strong")
        result.add_row(
            f"[bold]{name}",
            f"{key} {ours['value']:.4f} \\[{ours['low']:.4f}, {ours['high']:.4f}]",
            f"{strong['scores'][key]['value']:.4f} {strong['title']}",
            _verdict(found),
            f"{cost['seconds']:.0f}",
        )
    return result


def _verdict(found: dict[str, Any]) -> str:
    word = found["verdict"]["word"]
    colour = {"beats": "green", "ties with": "yellow", "loses to": "red"}[word]
    useless = ", worse than trivial" if found["verdict"]["worse_than_trivial"] else ""
    return f"[{colour}]{word}{useless}"


def _tracked(name: str) -> bool:
    """Whether the local database knows the run; plain SQL, since importing MLflow takes 2 seconds."""
    from omegaconf import OmegaConf

    tracking = OmegaConf.create(read_json(Places(name).config)["tracking"])
    if tracking.uri != f"sqlite:///{DATABASE}":
        return True  # a server is not asked each time
    if not DATABASE.exists():
        return False
    run_id = read_json(Places(name).model / "train.json")["run_id"]
    with sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True) as connection:
        known = connection.execute("select 1 from runs where run_uuid = ?", [run_id]).fetchone()
        query = "select 1 from tags where key = 'goodfit.recreated_from' and value = ?"
        return bool(known or connection.execute(query, [run_id]).fetchone())


def _restore(name: str) -> None:
    from goodfit import config, tell

    cfg = config.load(Places(name).config)
    run = tell.run_of(cfg, Places(name).model)
    tell.scores(run, cfg, read_json(Places(name).evaluation / "evaluation.json"), Places(name).evaluation)
    print(f"{name}: DVC restored this model; its run was recreated in MLflow from models/{name}")
