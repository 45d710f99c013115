# Two commands do everything: `make book` and `make test`. `make` alone lists the rest.

FITS = import sys; sys.exit(not (3, 11, 5) <= sys.version_info[:3] < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
BUILD = _build
RUN = $(BUILD)/results/practice-112
PAGES = _config.yml _toc.yml intro.md references.bib chapters benchmarks _assets
SYSTEM ?= $(if $(filter Darwin,$(shell uname)),macos,linux)
KIT = $(BUILD)/kit
FOR ?= $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
LANGUAGE ?= ko
TIMES ?= $(BUILD)/chapters.csv
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadscope -p tests.chapter_times --chapter-times $(TIMES) --nbval \
	--nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/sanitise.cfg --no-loadscope-reorder
# What takes longest goes first, so that neither of the two processes waits for the other at the end.
LONGEST = $(addprefix tests/,test_site.py test_workers.py test_cli.py model)
FAST = book data evaluation practice test_guide.py test_house.py test_locks.py test_page_rules.py test_pictures.py test_slides.py \
	test_translation.py
EXECUTE = xargs -n 1 -P 2 $(BIN)/jupyter nbconvert --to notebook --execute --inplace --log-level WARN \
	--ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=600

# Chapters are executed without a user's own settings, which would change what they print.
SETTINGS = $(BUILD)/settings
OWN = $(CURDIR)/$(SETTINGS)
KERNEL = $(SETTINGS)/ipython/profile_default/ipython_kernel_config.py
book html run test times: export IPYTHONDIR = $(OWN)/ipython
book html run test times: export JUPYTER_CONFIG_DIR = $(OWN)/jupyter
book html run test times: export MPLCONFIGDIR = $(OWN)/matplotlib
book html run test times: export KERAS_HOME = $(OWN)/keras
unexport MPLBACKEND MATPLOTLIBRC PYTHONSTARTUP

.PHONY: help env book html print sphinx translate lab run style fast test times format student solutions slides kit head lock clean

help:  ## list the commands
	@grep -hE '^[a-z% -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(KERNEL):  # kernels say that they speak over TCP, which is how they are meant to here
	mkdir -p $(@D)
	echo 'c.IPKernelApp.log_level = "ERROR"' > $@

env: $(VENV)/installed  ## install Python packages into .venv, in exact versions

$(VENV)/installed: pyproject.toml locks/pages.txt locks/course.txt locks/tests.txt
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' || { printf '%s\n' \
		"Python 3.11 (from 3.11.5), 3.12 or 3.13 is needed, and $(or $(PYTHON),none of these) was found. Install one:" \
		"  Debian, Ubuntu: apt install python3 python3-venv    Fedora: dnf install python3.12" \
		"  macOS: brew install python@3.12    any system: uv python install 3.12" \
		"or name one that is there: make PYTHON=/path/to/python ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Python's venv module is missing; install it (Debian, Ubuntu: apt install python3-venv)."; exit 1; }
	@case "$(CURDIR)" in *[][]*) echo "This folder's path holds a bracket, which the book's builder takes for a pattern; move it."; exit 1;; esac
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != '"$$($(PYTHON) -c 'import sys; print(tuple(sys.version_info[:2]))')"')' \
		2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes --requirement locks/tests.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

book: env $(KERNEL)  ## everything: practice slides, weights, fine-tuning, chapters executed, book rendered
	$(BIN)/breakhis practice
	$(BIN)/breakhis weights
	$(BIN)/breakhis run --size 112 --epochs 8 --results $(RUN)
	rm -rf $(BUILD)/source && mkdir -p $(BUILD)/source
	cp -r $(PAGES) $(BUILD)/source
	ls $(BUILD)/source/chapters/*.ipynb | $(EXECUTE)
	$(BIN)/jupyter-book build $(BUILD)/source --path-output $(BUILD)/book -W -n --keep-going --quiet
	$(BIN)/python -m teaching.shelf $(BUILD)/book/_build/html
	@echo "The book: $(BUILD)/book/_build/html/index.html"
	$(BIN)/breakhis table $(RUN)

html: env  ## render the book from the outputs stored in the chapters
	$(BIN)/jupyter-book build . -W -n --keep-going --quiet
	@echo "The book: $(BUILD)/html/index.html"

print: html  ## the whole book as PDF and as ePub, from the rendered pages; a Chromium prints them
	$(BIN)/python -m teaching.printed $(BUILD)/html $(BUILD)/print

# The book's sources in a folder, for plain Sphinx.
define SOURCES
rm -rf $(1) && mkdir -p $(1) && cp -r $(PAGES) $(1)
$(BIN)/jupyter-book config sphinx $(1)
sed -i.book "s/'jupyter_book', //" $(1)/conf.py
endef

sphinx: env  ## render it without Jupyter Book, which goes no further than version 1, by plain Sphinx
	$(call SOURCES,$(BUILD)/plain)
	$(BIN)/sphinx-build -q -W -n -b html $(BUILD)/plain $(BUILD)/plain/_build

html-%: html  ## render it in another language as well, such as html-ko: English where nothing is translated
	$(call SOURCES,$(BUILD)/$*)
	$(BIN)/python -m teaching.translation render $* $(BUILD)/$*
	rm -rf $(BUILD)/html/$*
	$(BIN)/sphinx-build -q -W -n -b html -D language=$* -d $(BUILD)/$*/doctrees $(BUILD)/$* $(BUILD)/html/$*
	$(BIN)/python -m teaching.translation link $* $(BUILD)/html
	@echo "The book in $*: $(BUILD)/html/$*/index.html"

translate: env  ## write what the pages say now into locale/: make translate LANGUAGE=ko PAGE=chapters/02_convolution
	$(BIN)/python -m teaching.translation update $(LANGUAGE) $(PAGE)
	$(BIN)/python -m teaching.translation check $(LANGUAGE)

lab: env  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab chapters

run: env $(KERNEL)  ## execute the chapters and store their outputs
	ls chapters/*.ipynb | $(EXECUTE)

style: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry .

fast: style  ## style, pages and what needs no training, in two minutes
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not weights" -k "not nbval" $(addprefix tests/,$(FAST))

test: style html-ko  ## style, library, command line, every chapter's outputs compared, every built page looked at
	$(PYTEST) $(LONGEST) chapters tests

times: env  ## measure what each chapter takes, for the book's page on run time (on a quiet machine)
	$(MAKE) TIMES=benchmarks/chapters.csv chapters-alone

chapters-alone: env
	$(PYTEST) chapters

format: env  ## bring the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

student solutions: env  ## the chapters for a class: without their solutions, or these alone
	$(BIN)/python -m teaching.editions $@ $(BUILD)/$@

slides: env  ## slides for each chapter, with notes, from the chapters' stored outputs
	$(BIN)/python -m teaching.slides $(BUILD)/slides

kit: html  ## one zip for a room without a network: make kit SYSTEM=windows FOR=3.12 EDITION=student (linux, linux-arm, macos)
	$(BIN)/breakhis practice
	$(BIN)/breakhis weights
	$(BIN)/breakhis run --size 112 --seeds 0 --protocols slide --results $(KIT)/head
	$(BIN)/python -m teaching.kit --system $(SYSTEM) --python $(FOR) --pages $(BUILD)/html --head $(KIT)/head \
		--cache "$$($(BIN)/python -c 'from breakhis_lib import cache; print(cache.folder())')" --to $(KIT)/$(SYSTEM)-$(FOR)$(addprefix -,$(EDITION)).zip \
		$(addprefix --,$(EDITION))

head: env  ## one small zip for a release: a head trained on practice slides, with its record
	$(BIN)/breakhis practice
	$(BIN)/breakhis weights
	$(BIN)/breakhis run --size 112 --magnifications 200 --seeds 0 --protocols slide --results $(BUILD)/head/record
	$(BIN)/python -m teaching.head $(BUILD)/head/record $(BUILD)/head

lock: env  ## choose exact versions anew where pyproject.toml asks for others (OPTIONS=--upgrade: the newest)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m locks.lock $(OPTIONS)

clean:  ## remove what was built; the environment and the cache stay
	rm -rf $(BUILD)
