from goodfit.cli import guarded
from goodfit.results import write

if __name__ == "__main__":
    guarded(write)
