from goodfit.cli import guarded
from goodfit.summary import summarize

if __name__ == "__main__":
    guarded(summarize)
