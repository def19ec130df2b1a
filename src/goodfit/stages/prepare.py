"""The stage prepare: from the raw files to packed arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from omegaconf import DictConfig

from goodfit import build
from goodfit.config import tree
from goodfit.paths import Paths
from goodfit.records import ColumnRead
from goodfit.store.fetch import raw_files
from goodfit.store.prepare import prepare


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: data/raw/<experiment> to data/prepared/<experiment>.

    Raises:
        UserError: a raw file has faults.
    """
    paths = Paths(cfg.name)
    data = build.data_set(cfg)
    raw = raw_files(build.sources(cfg), paths.raw)
    manifest = prepare(data, raw, paths.prepared, made_with=tree.data_section(cfg))

    for line in _grouped(manifest.columns):
        print(line)
    for finding in manifest.findings:
        print(f"  note: {finding.what}: {finding.answer}")
    sizes = ", ".join(f"{split} {manifest.samples(split):,}" for split in manifest.counts)
    copies = f"{manifest.copies.rows or 'no'} copies of other rows"
    if manifest.copies.near:
        copies += f", {manifest.copies.near:,} near ones"
    print(f"prepared {paths.prepared}: {sizes}; {copies}")


def _grouped(columns: Sequence[ColumnRead]) -> Iterator[str]:
    """A line for each type and reason, with the columns of which both are true.

    Of thirty measurements each would say the same.
    """
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for column in columns:
        names[column.read_as or "left out", column.why].append(column.name)
    width = max((len(read_as) for read_as, _ in names), default=0)
    for (read_as, why), group in names.items():
        listed = ", ".join(group) if len(group) <= 8 else f"{', '.join(group[:6])} ... {group[-1]}"
        count = f" ({len(group)} columns)" if len(group) > 1 else ""
        yield f"  {read_as:<{width}}  {listed}{count}: {why}"
