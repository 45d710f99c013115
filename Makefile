# Two commands do everything: `make book` and `make test`. `make` alone lists the rest.

PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11, 4) <= sys.version_info[:3] < (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
BUILD = _build
RUN = $(BUILD)/results/practice
COSTS ?= $(BUILD)/chapters.csv
EXECUTE = $(BIN)/jupyter nbconvert --to notebook --execute --inplace --log-level WARN \
	--ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=600

.PHONY: help env book html lab run test format clean

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

env: $(VENV)/installed  ## install Python packages into .venv, in exact versions

$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 (from 3.11.4) or 3.12 is needed; name it with: make PYTHON=/path/to/python ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[book,test]'
	touch $@

book: env  ## everything: practice slides, weights, fine-tuning, chapters executed, book rendered
	$(BIN)/breakhis practice
	$(BIN)/breakhis weights
	$(BIN)/breakhis run --seeds 0 --results $(RUN)
	rm -rf $(BUILD)/source && mkdir -p $(BUILD)/source
	cp -r _config.yml _toc.yml intro.md references.bib chapters benchmarks _assets $(BUILD)/source
	$(EXECUTE) $(BUILD)/source/chapters/*.ipynb
	$(BIN)/jupyter-book build $(BUILD)/source --path-output $(BUILD)/book -W -n --keep-going --quiet
	@echo "The book: $(BUILD)/book/_build/html/index.html"
	$(BIN)/breakhis table $(RUN)

html: env  ## render the book from the outputs stored in the chapters
	$(BIN)/jupyter-book build . -W -n --keep-going --quiet
	@echo "The book: $(BUILD)/html/index.html"

lab: env  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab chapters

run: env  ## execute the chapters and store their outputs
	$(EXECUTE) chapters/*.ipynb

test: html  ## style, library, command line, every chapter's outputs compared, every built page looked at
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadscope -p tests.chapter_times --chapter-times $(COSTS) --nbval \
		--nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/sanitise.cfg tests chapters

format: env  ## bring the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what was built; the environment and the cache stay
	rm -rf $(BUILD)
