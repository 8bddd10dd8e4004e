# make setup · make test · make demo [DATA=/path/to/fer2013 [FULL=1]]
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
WORK   ?= $(if $(FER_WORK),$(FER_WORK)/demo,demo)

.PHONY: setup test check stress demo clean-demo

setup: $(STAMP)

# The stamp is newer than what it was made from: a second run installs nothing.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; found `$(PYTHON) --version`. Set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "the venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "installing into $(VENV) (once, a few minutes)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

stress: setup
	$(BIN)/python -m pytest tests/stress -n 2

demo: setup
	$(BIN)/fer demo --out $(WORK) $(if $(DATA),--data "$(DATA)") $(if $(FULL),--full)

clean-demo:
	rm -rf $(WORK)
