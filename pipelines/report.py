from goodfit.cli import stage

if __name__ == "__main__":
    stage("goodfit.report:stage", needs={"evaluation": "evaluate"})
