# Two commands matter: `make book` builds the site, `make test` passes the tests. Both set up what
# they need in .venv. To reuse an environment of your own (conda, Colab): make book BIN=$(dirname $(which python))
PYTHON ?= python3
VENV ?= .venv
BIN ?= $(VENV)/bin
PY = $(BIN)/python
SITE = _build/html
READY = $(if $(filter $(VENV)/bin,$(BIN)),$(VENV)/installed)

.PHONY: book serve test lint unit notebooks site references assignments clean

book: $(READY)  ## execute what changed, build the site, warnings are errors
	@$(PY) -m jupyter_book build . --all -n -W --keep-going
	@echo "The book is in $(SITE): open $(SITE)/index.html, or run 'make serve'."
