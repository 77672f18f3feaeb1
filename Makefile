# Each target sets up .venv on its first call; later calls spend no time on that. On Windows: see the README.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
NN ?=
ARGS ?=

.PHONY: run test exercises applications quick thorough lab lessons bench gpu site book web dist bundle links

run: $(READY)  ## execute all lessons into build/
	$(BIN)/bertft run --fast

test: $(READY)  ## style, tests (of the types too), and the outputs of lessons 00 to 30 compared
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist worksteal -m "not thorough and not exercises and not applications"
	$(BIN)/bertft check
	OMP_NUM_THREADS=1 $(BIN)/bertft check --execute --jobs 2 notebooks/*.ipynb

exercises: $(READY)  ## what learners do with lessons 00 to 30, which CI tries after make test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist worksteal -m "exercises and not thorough and not applications"

applications: $(READY)  ## tests and outputs of A1 to A6, which CI looks at last
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist worksteal -m "applications and not thorough"
	OMP_NUM_THREADS=1 $(BIN)/bertft check --execute --jobs 2 notebooks/applications/*.ipynb

quick: $(READY)  ## the tests that take seconds
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m "not slow"

thorough: $(READY)  ## what make test tries in part, in full: minutes more
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m thorough

lab: $(READY)  ## open JupyterLab on the lessons
	$(BIN)/jupyter lab --notebook-dir notebooks

lessons: $(READY)  ## execute lessons and store their outputs: make lessons NN="04 19"
	$(BIN)/bertft store $(NN)

bench: $(READY)  ## measure ratios against peers: make bench ARGS="--only headlines --pairs 3"
	$(BIN)/python -m benchmarks $(ARGS)

gpu: $(READY)  ## on a machine with a GPU: its tests and all lessons at its profile, as a table in build/gpu
	$(BIN)/python -m benchmarks.gpu

site: $(READY)  ## build the website into build/site
	$(BIN)/bertft site --out build/site

book: $(READY)  ## bind the lessons as EPUB and PDF into build/book
	$(BIN)/bertft book --out build/book

web: book  ## the website with the book in it, as it is published, into build/web
	$(BIN)/bertft site --out build/web --book build/book

dist: $(READY)  ## wheel and source into build/dist, and the list of what they need into build/sbom.json
	$(BIN)/python -m build --outdir build/dist .
	$(BIN)/cyclonedx-py requirements requirements.lock --output-file build/sbom.json

bundle: book  ## what a workshop takes along, as build/workshop-bundle.zip
	rm -rf build/bundle
	$(BIN)/bertft workshop --out build/bundle/workshop
	$(BIN)/python -m build --wheel --outdir build/bundle/wheels .
	cp -r build/book requirements.lock WORKSHOP.md LICENSE LICENSE-LESSONS.md build/bundle/
	$(BIN)/python -m zipfile -c build/workshop-bundle.zip build/bundle

links: $(READY)  ## ask every outside address that lessons and pages name
	$(BIN)/bertft links

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but Python 3.11 or newer is needed;"; \
	  echo "name one like this: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@
