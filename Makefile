PYTHON ?= python3
export MLOPS_ASSETS_HOME ?= $(CURDIR)/.mlops
export DAGSTER_HOME = $(MLOPS_ASSETS_HOME)/dagster
BIN = .venv/bin
PROGRAMS = $(MLOPS_ASSETS_HOME)/programs
SERVICES = $(MLOPS_ASSETS_HOME)/services
SERVICE = $(BIN)/python -m deploy.services
POSTGRES_PORT ?= 5432
S3_PORT ?= 8333
AZURE_PORT ?= 10000
MLFLOW_PORT ?= 5000
DAGSTER_PORT ?= 3000
export CODE_SERVER_PORT ?= 4000
# The seed of the order in which the tests run: no test may rest on another.
ORDER ?= 1
QUIETLY = install --quiet --disable-pip-version-check
WANTED = -c constraints.txt -e ".[dev]"

# A machine that keeps no bytecode would compile all libraries anew in each process of `make test-versions`.
test test-slow test-versions: export PYTHONDONTWRITEBYTECODE =
# Two tests, or four that wait much, run at once on two cores: threads of theirs would wait for each other and spin.
test test-slow test-versions: export OMP_NUM_THREADS = 1

demo: setup ## feed real batches to two models, train, promote, retrain; says where to look
	$(BIN)/python -m demo

dev: setup ## Dagster's UI on http://127.0.0.1:3000, MLflow's on http://127.0.0.1:5000; Ctrl-C ends both
	$(BIN)/python dev.py

test: setup ## the tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not browser" -p randomly --randomly-seed=$(ORDER)

test-all: test test-slow test-versions ## all tests

test-slow: setup lint docs ## style, floors, types, the site, the slower proofs, and those in a browser, which need Debian's chromium
	$(BIN)/python -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder -m "slow or browser" -p no:randomly

test-versions: setup ## the lowest and the newest version of each dependency, the newest on each Python that is here
	$(BIN)/nox

postgres: setup ## PostgreSQL on 127.0.0.1:5432, with databases for Dagster, MLflow and the records; Ctrl-C ends it
	$(SERVICE).postgres --folder "$(SERVICES)/postgres" --port $(POSTGRES_PORT) $(ARGS)

s3: setup ## S3 on 127.0.0.1:8333, by SeaweedFS
	$(SERVICE).s3 --folder "$(SERVICES)/s3" --port $(S3_PORT) $(ARGS)

bucket: setup ## the bucket that the servers of this file use
	deploy/with_services python -m deploy.bucket mlops

azure: azurite ## Azure Blob on 127.0.0.1:10000, by Azurite
	$(SERVICE).azure --folder "$(SERVICES)/azure" --port $(AZURE_PORT) $(ARGS)

mlflow-server: setup ## MLflow on 127.0.0.1:5000; ARGS="--login --artifacts s3://mlops/mlflow"
	deploy/with_services python -m deploy.services.mlflow --folder "$(SERVICES)/mlflow" --port $(MLFLOW_PORT) $(ARGS)

code-server: setup ## the models' code over gRPC on 127.0.0.1:4000, with the services above
	deploy/with_services dagster api grpc --host 127.0.0.1 --port $(CODE_SERVER_PORT) --module-name definitions

webserver: setup ## Dagster's UI on 127.0.0.1:3000, of the code server
	deploy/with_services dagster-webserver --host 127.0.0.1 --port $(DAGSTER_PORT) --workspace deploy/workspace.yaml

daemon: setup ## Dagster's daemon, of the code server
	deploy/with_services dagster-daemon run --workspace deploy/workspace.yaml

azurite: setup ## Azurite, a program of npm
	@test -x "$(PROGRAMS)/node_modules/.bin/azurite-blob" || command -v azurite-blob >/dev/null || { mkdir -p "$(PROGRAMS)" \
	  && cp deploy/services/azurite/package.json "$(PROGRAMS)/" && npm install --silent --no-audit --no-fund --prefix "$(PROGRAMS)"; }

lint: setup ## style, floors, types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/mypy

figures: setup ## every figure of README, from the recorded output of the benchmarks
	$(BIN)/python benchmarks/figures.py

docs: setup ## the site of docs/ into site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## remove what was installed and written
	rm -rf .nox .venv site "$(MLOPS_ASSETS_HOME)"

setup: .venv/.installed
	@mkdir -p "$(DAGSTER_HOME)" && cp dagster.yaml "$(DAGSTER_HOME)/dagster.yaml"

.venv/.installed: pyproject.toml constraints.txt
	@echo "Installing into .venv ..."
	$(PYTHON) -m venv .venv && $(BIN)/pip $(QUIETLY) -c constraints.txt uv
# uv takes a third of pip's time. pip installs where only pip knows the way to the packages, such as a mirror.
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(WANTED) || $(BIN)/pip $(QUIETLY) $(WANTED)
	touch $@

.PHONY: demo dev test test-all test-slow test-versions lint figures docs clean setup postgres s3 bucket azure azurite mlflow-server code-server webserver daemon
