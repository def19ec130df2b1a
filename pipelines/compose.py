import sys

from goodfit.cli import guarded
from goodfit.compose import compose

if __name__ == "__main__":
    guarded(lambda: compose(sys.argv[1]))
