"""The stage report: the page report/<experiment>/index.html."""

from goodfit.cli import stage

if __name__ == "__main__":
    stage("goodfit.stages.report:stage", needs={"evaluation": "evaluate"})
