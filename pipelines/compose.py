import sys

from goodfit.cli import guarded
from goodfit.compose import compose
from goodfit.errors import UserError


def main() -> None:
    if len(sys.argv) != 2:
        raise UserError("python pipelines/compose.py <experiment>: expected the name of one of conf/experiment/")
    compose(sys.argv[1])


if __name__ == "__main__":
    guarded(main)
