# Two commands: `make repro` reproduces every experiment of params.yaml, `make test` runs the quick tests.
# ONLY="mnist reviews" names the experiments instead, any of conf/experiment/; KEEP_GOING=1 goes on
# behind one that fails, and shows the table of the others.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# -u: progress lines appear at once when stages are piped
export PYTHONUNBUFFERED := 1
# MLflow's helper for background jobs is not needed to look at runs: 7.6 s and 0.5 GB instead of 15.3 s and 2 GB
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
# Python 3.11 reads its own .pth files by the locale: with C, none in a folder with an umlaut
ifneq ($(filter C POSIX,$(LC_ALL)),)
export LC_ALL := C.UTF-8
endif
PORT ?= 5000

# a .venv that was moved or copied with its folder would run what is in the old one
ifneq ($(and $(wildcard .venv/ready),$(wildcard .venv/bin/python)),)
ifneq ($(shell cat .venv/ready),$(CURDIR))
MOVED := $(shell PYTHONPATH=src .venv/bin/python -m goodfit.system.moved)
$(if $(MOVED),$(info $(MOVED)))
endif
endif

.PHONY: repro gallery test test-slow faults mutants chaos doctor check format ui bench tables verdicts results

repro: .venv/ready
	@python pipelines/repro.py $(ONLY) $(if $(filter-out 0,$(KEEP_GOING)),--keep-going)
	@python pipelines/summary.py $(ONLY)

# one that fails does not keep the others waiting
gallery: EXPERIMENTS := $(basename $(notdir $(wildcard conf/experiment/*.yaml)))
gallery: .venv/ready
	@python pipelines/repro.py $(EXPERIMENTS) --keep-going
	@python pipelines/summary.py $(EXPERIMENTS)

# two processes, each with whole files: what a file prepares is prepared once
AT_ONCE := -n 2 --dist loadfile
# trainings of several processes, with limits in seconds: alone
RANKS := tests/test_devices.py tests/test_machines.py

test: .venv/ready
	pytest -q $(AT_ONCE) -m "not slow and not gpu and not chaos and not mutation" $(TESTS)

test-slow: .venv/ready
	pytest -q $(AT_ONCE) -m "slow and not gpu" $(RANKS:%=--ignore=%)
	pytest -q -m "slow and not gpu" $(RANKS)

# every row of docs/faults.md, planted and survived
faults: .venv/ready
	pytest -q $(AT_ONCE) -m "fault and not gpu" $(RANKS:%=--ignore=%)
	pytest -q -m "fault and not gpu" $(RANKS)

# each guard turned off: its test must fail
mutants: .venv/ready
	pytest -q -n 2 -m mutation tests/test_mutations.py

# random kills of `make repro`; CHAOS_KILLS=20 CHAOS_SEED=<printed before>
chaos: .venv/ready
	pytest -q -s -m chaos

check: .venv/ready
	ruff check .
	ruff format --check .
	mypy
	deptry .

format: .venv/ready
	ruff check --fix .
	ruff format .

ui: .venv/ready
	@python -m goodfit.tracking.places
	@echo "MLflow: http://127.0.0.1:$(PORT)/#/experiments?workflowType=machine_learning  (Ctrl-C ends it)"
	@mlflow ui --host 127.0.0.1 --port $(PORT) --workers 1

# make doctor FIX=1 also mends what is safe to mend
doctor: .venv/ready
	@python -m goodfit.doctor $(if $(FIX),--fix)

results: .venv/ready
	python pipelines/results.py

bench: .venv/ready
	python -m benchmarks $(ONLY)

# networks for tables against boosting, three seeds each: docs/tables.md; ONLY="cells credit" measures two anew
tables: .venv/ready
	python -m benchmarks.tables $(ONLY)

# planted cases and the words that they get: the table of docs/overfitting.md; ONLY="'a pixel tells'" runs one
verdicts: .venv/ready
	python -m benchmarks.verdicts $(ONLY)

# torch first: with it installed, nothing asks the registry for its largest build; the lock fits CPU and CUDA
.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" || \
		{ echo "Python 3.11 to 3.13 is needed, '$(PYTHON)' is $$($(PYTHON) -V 2>&1); try: make PYTHON=python3.11"; exit 2; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@echo "installing the locked versions into .venv, once, about three minutes: first torch ..."
	@.venv/bin/python -m pip install --quiet "torch==$$(sed -n 's/^torch==//p' requirements.lock)"
	@echo "... then the others ..."
	@.venv/bin/python -m pip install --quiet --constraint requirements.lock --editable ".[dev]"
	@pwd -P > .venv/ready && echo "... done"
