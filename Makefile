# Two commands matter: `make book` builds the site, `make test` passes the tests. Both install what
# they need into .venv first. In an environment of your own: make book BIN=$$CONDA_PREFIX/bin
PYTHON ?= python3
VENV := .venv
BIN ?= $(VENV)/bin
READY := $(if $(filter $(VENV)/bin,$(BIN)),$(VENV)/installed)
SITE := _build/html
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

PARTS := install lint unit notebooks book site

.PHONY: help book serve test weekly $(filter-out book,$(PARTS)) references constraints clean

help: ## say what can be made
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14

book: $(READY) ## execute the chapters that changed and build the site; warnings are errors
	$(BIN)/jupyter-book build . -n -W --keep-going
	@echo "Open $(SITE)/index.html, or run 'make serve'."

serve: ## serve the built site on this machine
	@cd $(SITE) && echo "http://localhost:8000" && $(abspath $(BIN))/python -m http.server 8000 --bind 127.0.0.1

test: ## everything that must hold; ends with the minutes of each part
	@mkdir -p _build && rm -f _build/times; for part in $(PARTS); do \
	  start=$$(date +%s); $(MAKE) --no-print-directory $$part; result=$$?; \
	  echo "$$part $$(($$(date +%s) - start))" >> _build/times; \
	  [ $$result = 0 ] || break; \
	done; awk '{ printf "%-10s%4d:%02d\n", $$1, $$2 / 60, $$2 % 60; sum += $$2 } \
	  END { printf "%-10s%4d:%02d\n", "all", sum / 60, sum % 60 }' _build/times; exit $$result

weekly: clean ## the same without any cache, and with what is too dear for every change
	cache=$$(mktemp -d); XDG_CACHE_HOME=$$cache $(MAKE) test PYTEST="$(PYTEST) -m ''"; \
	result=$$?; rm -rf $$cache; exit $$result

install: $(READY)

lint: $(READY) ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(READY) ## the library, the book's extension, and the project's own files
	$(PYTEST) --dist worksteal tests --ignore tests/site

notebooks: $(READY) ## run every chapter as its reader gets it; compare the numbers that prose quotes
	$(PYTEST) --no-loadscope-reorder --nbval-lax chapters

site: $(READY) ## open every page of the built book in a headless browser
	$(PYTEST) --dist worksteal -rs tests/site

references: $(READY) ## renew the numbers that nbval compares, and show what changed
	PYTHONPATH=book/extension:$(PYTHONPATH) $(BIN)/python tests/chapter_references.py

constraints: $(READY) ## write the installed versions into constraints.txt
	$(BIN)/python -m pip freeze --all --exclude-editable | sed '/^pip==/d; s/+cpu//' > $(VENV)/freeze
	(grep '^#' constraints.txt; cat $(VENV)/freeze) > $(VENV)/constraints && mv $(VENV)/constraints constraints.txt

clean: ## remove what the build made, and nothing else
	rm -rf _build

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "The course needs Python 3.11 or newer; name one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -c constraints.txt -e '.[book,test,scale]'
	touch $@
