"""docs/results.md: what each experiment scored, against which baselines, on which data, as the stages wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from goodfit.files import read_json, write_text
from goodfit.places import Places

PAGE = Path("docs/results.md")

_HEAD = """# Results

Written by `make results` from what `make repro` left in report/ and models/; not edited by hand.

Brackets are 95 % intervals: percentiles of {resamples} resampled test sets, the same ones for every method. "Better
by" is the paired difference, positive where the network is better; the verdict is a tie where its interval holds zero.
Seeds: {seeds}. Test data were opened by `evaluate` only.
"""


def write() -> None:
    """One section for each experiment of params.yaml."""
    names = yaml.safe_load(Path("params.yaml").read_text())["experiments"]
    seeds = {yaml.safe_load((Places(name).model / "config.yaml").read_text())["seed"] for name in names}
    times = {read_json(Places(name).evaluation / "evaluation.json")["resamples"] for name in names}
    head = _HEAD.format(
        seeds=", ".join(map(str, sorted(seeds))), resamples=" or ".join(f"{number:,}" for number in sorted(times))
    )
    write_text(PAGE, "\n".join([head, *(section(name) for name in names)]))
    print(f"wrote {PAGE}")


def section(name: str) -> str:
    """Protocol, scores of all methods, the verdict and the cost of one experiment, as Markdown."""
    found = read_json(Places(name).evaluation / "evaluation.json")
    train = read_json(Places(name).model / "train.json")
    manifest = read_json(Places(name).prepared / "manifest.json")
    sizes = {split: sum(counts.values()) for split, counts in manifest["counts"].items()}
    scores = list(found["modes"])
    methods = [{"title": f"**{found['model']}**", "role": "network", "scores": found["network"]}, *found["baselines"]]
    cost = train["cost"]
    lines = [
        f"## {name}",
        "",
        f"{sizes['train']:,} samples to train on, {sizes['validation']:,} to choose on, {sizes['test']:,} to test on; "
        f"split {manifest['split']}. Raw data SHA-256 `{manifest['raw_sha256'][:16]}`, "
        f"test split `{manifest['test_sha256'][:16]}`.",
        "",
        f"| method | role | {' | '.join(scores)} |",
        f"|---|---|{'---|' * len(scores)}",
        *(f"| {item['title']} | {item['role']} | {_cells(item, scores)} |" for item in methods),
        "",
        f"Verdict by {found['score']}: {found['verdict']['text']}.",
        "",
        f"Kept: epoch {train['best_epoch'] + 1} of {train['epochs']}, {train['monitor']} "
        f"{train['scores'][train['monitor']]:.4f}. Gap between validation and train by {found['score']}: "
        f"{train['scores']['gap/' + found['score']]:+.4f}. {cost['parameters']:,} parameters, "
        f"{cost['seconds']:.0f} s of training, {cost['peak_memory_mb']:,} MB at most.",
        "",
    ]
    return "\n".join(lines)


def _cells(item: dict[str, Any], scores: list[str]) -> str:
    found = [item["scores"][name] for name in scores]
    return " | ".join(f"{score['value']:.4f} [{score['low']:.4f}, {score['high']:.4f}]" for score in found)
