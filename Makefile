# `make demo` and `make test` are all that a newcomer needs; both install first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRA ?= cpu
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: install demo test test-fast check docs clean
install: $(VENV)/.installed

# torch==2.13.0+cpu comes from wherever this machine's pip looks; where that has no CPU build, uv knows
# PyTorch's own CPU index. torchvision, torchaudio and torchcodec are removed because their CUDA builds break
# every import of a transformers model next to a CPU torch, and text models need none of them.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e '.[$(EXTRA),dev]' || { \
	  echo "pip found no CPU build of torch; trying uv with PyTorch's CPU index" && \
	  $(BIN)/pip install -q uv && \
	  $(BIN)/uv pip install -q --python $(BIN)/python --torch-backend=cpu -e '.[$(EXTRA),dev]'; }
	if [ "$(EXTRA)" = cpu ]; then $(BIN)/pip uninstall -q -y torchvision torchaudio torchcodec; fi
	touch $@

demo: install
	$(BIN)/rrtf run --config jobs/configs/demo.yaml

# Everything; two processes, because half of the tests wait for something most of the time. tests/conftest.py says
# which tests stay together.
test: install
	$(BIN)/python -m pytest -n 2

# The inner loop: no Ray, no engine, nothing slow. `pytest --markers` explains the markers.
test-fast: install
	$(BIN)/python -m pytest -n 2 -m "not ray and not e2e and not slow and not gpu"

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in site/, with the page of settings written anew; --strict fails on a broken link or anchor.
docs: install
	$(BIN)/python docs/generate_configuration.py
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf runs site $(VENV)
