"""The stage report: the page report/<experiment>/index.html."""

from environment import stage

if __name__ == "__main__":
    stage("goodfit.stages.report:stage", needs={"evaluation": "evaluate"})
