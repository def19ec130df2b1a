"""What each script takes of goodfit first, and what is said where this Python does not have it."""

import sys

try:
    from goodfit.cli import guarded, stage
except ModuleNotFoundError as error:
    # a shell without the environment, or `.venv/bin/dvc repro`, whose stages call any `python`
    print(
        f"goodfit: this Python ({sys.executable}) has no module '{error.name}'; "
        "first: source .venv/bin/activate (`make .venv/ready` makes it)",
        file=sys.stderr,
    )
    sys.exit(2)

__all__ = ["guarded", "stage"]
