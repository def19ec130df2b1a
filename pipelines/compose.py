import sys

from goodfit.cli import guarded
from goodfit.errors import UserError
from goodfit.stages.compose import write_composed


def main() -> None:
    if len(sys.argv) != 2:
        raise UserError(
            "python pipelines/compose.py <experiment>: expected the name of one of conf/experiment/"
        )
    write_composed(sys.argv[1])


if __name__ == "__main__":
    guarded(main)
