# Everything happens in a virtual environment of its own; only Python 3.11 or newer and make are needed.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-browser web screenshots lint docs bench clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,demo,hub]"
	touch $@

demo: $(VENV)/installed  ## stylise a real photograph
	$(BIN)/python examples/demo.py

test: $(VENV)/installed lint  ## what CI runs
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup --durations=20

test-browser: $(VENV)/installed web  ## the pages in a real browser; on Debian Chromium is installed where there is none
	command -v chromium chromium-browser google-chrome >/dev/null || (apt-get update -q && apt-get install -y -q chromium)
	$(BIN)/python -m pytest tests/studio/test_page.py tests/job/test_export_web.py

web: $(VENV)/installed  ## what pages of impasto export --web run on, into the package
	$(BIN)/python tools/vendor_web.py

screenshots: $(VENV)/installed web  ## the pictures of docs/studio.md
	IMPASTO_SCREENSHOTS=docs/figures $(BIN)/python -m pytest tests/studio/test_page.py tests/job/test_export_web.py

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n 2

docs: $(VENV)/installed  ## the documentation as a site, in out/site; dead links are errors
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs out/site

bench: $(VENV)/installed  ## the numbers of docs/benchmarks.md that need no other data
	$(BIN)/impasto evaluate speed --json benchmarks/results/speed.json

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .hypothesis
