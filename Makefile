# One word each: make demo, test, lint, types, contracts, bench, docs, clean. Another interpreter: make PYTHON=python3.12 demo

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
SETUP = pyproject.toml scripts/setup.sh
# A stamp is written last, so a failed or interrupted install is never taken as done.
INSTALL = @sh scripts/setup.sh "$(PYTHON)" $(VENV)

demo: $(VENV)/.installed
	@$(BIN)/adjoint demo

# Timings first and alone: a second process on the machine would falsify them. Exit 5 says that there are none.
test: $(VENV)/.installed-dev
	$(BIN)/pytest -q -m timing tests || test $$? -eq 5
	$(BIN)/pytest -q -m "not timing" -n 2

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check

types: $(VENV)/.installed-dev
	$(BIN)/mypy

contracts: $(VENV)/.installed-dev
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed-dev
	$(BIN)/python scripts/reference.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(SETUP)
	$(INSTALL) .
	@touch $@

$(VENV)/.installed-dev: $(SETUP)
	$(INSTALL) ".[dev,all]"
	@touch $(VENV)/.installed $@

$(VENV)/.installed-bench: $(SETUP)
	$(INSTALL) ".[bench,all]"
	@touch $(VENV)/.installed $@

.PHONY: demo test lint types contracts bench docs clean
.NOTPARALLEL:
