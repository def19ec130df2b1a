from goodfit.cli import stage

if __name__ == "__main__":
    stage("goodfit.register:stage", needs={"evaluation": "evaluate", "page": "report"})
