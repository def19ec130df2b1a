"""The code behind a run: what differed from its commit, and the commands that bring it back."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from omegaconf import DictConfig

from goodfit.provenance.changes import LeftOut, Patch
from goodfit.provenance.environment import Commit
from goodfit.records import Job
from goodfit.system.secrets import redact
from goodfit.tracking.runs import Run

FOLDER = "lineage"  # of a run's artifacts
_PATCH = "uncommitted.diff"
_REDACTED = "redacted.diff"
_RESTORE = "restore.md"
_BINARY = "\nGIT binary patch\n"  # in a patch: the content is packed, and a secret in it as well


def log(run: Run, cfg: DictConfig, job: Job, commit: Commit, config: str) -> Sequence[LeftOut]:
    """Stores the changes with the run, and how to have the code again; what is not stored.

    `config` is the configuration's unresolved text. A file whose change shows a secret is in a
    patch of its own, which does not apply: there the secret is ***.
    """
    applying, redacted = [], []
    left_out = list(commit.changes.left_out)
    for patch in commit.changes.patches:
        if _BINARY in patch.text and _shows_secret(_content(patch), config):
            left_out.append(LeftOut(str(patch.path), "binary, and holds a secret"))
        elif _shows_secret(patch.text, config):
            redacted.append(patch)
            left_out.append(LeftOut(str(patch.path), f"holds a secret; see {FOLDER}/{_REDACTED}"))
        else:
            applying.append(patch)

    for name, patches in ((_PATCH, applying), (_REDACTED, redacted)):
        if patches:
            run.text(f"{FOLDER}/{name}", "".join(patch.text for patch in patches), config)
    if commit.sha != "none":
        text = _commands(run, cfg, job, commit, is_patched=bool(applying), left_out=left_out)
        run.text(f"{FOLDER}/{_RESTORE}", text, config)
    return left_out


def note(commit: Commit) -> str:
    """Markdown about the code, for the page of a run."""
    if commit.sha == "none":
        return "Not in a git repository: the code is known by its hashes alone."
    states = {
        "true": ", with uncommitted changes",
        "unknown": "; what differs from it is unknown, for git failed",
    }
    return (
        f"Commit {commit.sha[:10]}{states.get(commit.dirty, '')}. "
        f"To have the code again: `{FOLDER}/{_RESTORE}` under Artifacts."
    )


def _commands(
    run: Run,
    cfg: DictConfig,
    job: Job,
    commit: Commit,
    *,
    is_patched: bool,
    left_out: Sequence[LeftOut],
) -> str:
    """Markdown: the commands, typed in the project's folder, that make a clone train the same."""
    lines = [f"git clone . ../restored && git -C ../restored checkout --detach {commit.sha}"]
    if is_patched:
        uri = shlex.quote(str(cfg.tracking.uri))
        lines += [
            f"MLFLOW_TRACKING_URI={uri} mlflow artifacts download --run-id {run.run_id} "
            f"--artifact-path {FOLDER} --dst-path ../restored/build",
            "cd ../restored",
            f"git apply --whitespace=nowarn build/{FOLDER}/{_PATCH}",
        ]
    else:
        lines.append("cd ../restored")
    lines.append("export PYTHONPATH=$PWD/src")
    if job.overrides:
        asked = shlex.join(job.overrides)
        for script in ("fetch.py", "prepare.py", "train.py"):
            lines.append(f"python pipelines/{script} {asked}")
    else:
        lines.append(f"python pipelines/repro.py {cfg.name}")

    paragraphs = [
        f"# The code that trained {run.run_id}",
        "In the project's folder, with its packages (`packages.txt` has those of the run):",
        "```bash\n" + "\n".join(lines) + "\n```",
        "Files that were put into data/inbox/ by hand are needed there, too.",
    ]
    if commit.dirty == "unknown":
        paragraphs.append("What differed from the commit is unknown, for git failed.")
    if left_out:
        paragraphs.append("**Not stored**, and to be brought back by hand:")
        paragraphs.append("\n".join(f"- `{path}`: {reason}" for path, reason in left_out))
    return "\n\n".join(paragraphs) + "\n"


def _shows_secret(text: str, config: str) -> bool:
    return redact(text, config) != text


def _content(patch: Patch) -> str:
    if not patch.path.is_file():  # what the commit had is not there to be looked at
        return ""
    return patch.path.read_bytes().decode(errors="surrogateescape")
