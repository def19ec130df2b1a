"""The stage evaluate: test scores and a verdict to report/<experiment>."""

from environment import stage

if __name__ == "__main__":
    stage("goodfit.stages.evaluate:stage", needs={"prepared": "prepare", "model": "train"})
