# make demo   encode a real stack and read it with every program; writes demo/
# make test   everything that is checked, in a fresh virtual environment
# make bench  speed and memory against the peers
# make fuzz   the fuzzers of the core, the driver's reader and the Python reader, FUZZ_SECONDS (30) each; needs clang
# Debian's packages are installed when run as root; otherwise they must be there, and what is missing is said.

PYTHON ?= python3
TORCH ?= torch==2.13.0
PACKAGES := g++ cmake python3-dev python3-venv libpython3-dev gdal-bin libgdal-dev python3-gdal python3-rasterio
VENV := .venv
TEST_VENV := .venv-test
BIN := $(TEST_VENV)/bin
# processes that share the tests, a file of them at a time; each may use all cores at times
WORKERS ?= 2

.PHONY: demo test lint bench fuzz system clean

system:
	@missing=""; for p in $(PACKAGES); do \
	  dpkg -s $$p 2>/dev/null | grep -q '^Status: install ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing > /dev/null; \
	  else echo "missing system packages; as root: apt-get install$$missing"; exit 1; fi; fi
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'

demo: system
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install -q --disable-pip-version-check ".[docs]"
	@$(VENV)/bin/python docs/demo.py

test: PACKAGES += python3-qgis
test: system
	rm -rf $(TEST_VENV)
	$(PYTHON) -m venv $(TEST_VENV)
	$(BIN)/pip install -q --disable-pip-version-check $(TORCH)
	$(BIN)/pip install -q --disable-pip-version-check -e ".[catalog,xarray,zonal,docs,test]"
	$(MAKE) --no-print-directory lint
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	-.ci/gdal-headers
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# mypy sees the tree as it is installed: catalog/ and vrt_templates/ are packages of gdal_gndc there
lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf build/types && mkdir -p build/types/gdal_gndc
	@ln -s $(CURDIR)/gdal_gndc/* build/types/gdal_gndc/
	@ln -s $(CURDIR)/catalog $(CURDIR)/vrt_templates build/types/gdal_gndc/
	cd build/types && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml -p gdal_gndc

bench:
	$(BIN)/python -m tests.benchmarks.decode

FUZZ_SECONDS ?= 30
FUZZ := build/fuzz
FUZZ_OPTIONS = -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -timeout=25 -print_final_stats=1

# after make test, whose environment has the package; what is found stays in build/fuzz/findings
fuzz:
	@$(BIN)/python -c 'import atheris' 2> /dev/null || $(BIN)/pip install -q --disable-pip-version-check atheris
	cmake -S tests/fuzz -B $(FUZZ) -DCMAKE_CXX_COMPILER=clang++ > /dev/null
	cmake --build $(FUZZ) --parallel 2
	$(BIN)/python tests/fuzz/seeds.py $(FUZZ)/seeds
	mkdir -p $(FUZZ)/corpus/core $(FUZZ)/corpus/driver $(FUZZ)/corpus/python $(FUZZ)/findings
	$(FUZZ)/fuzz_core $(FUZZ)/corpus/core $(FUZZ_OPTIONS) -len_control=0 -max_len=600 -artifact_prefix=$(FUZZ)/findings/core-
	$(FUZZ)/fuzz_driver_reader $(FUZZ)/corpus/driver $(FUZZ)/seeds/parts $(FUZZ)/seeds/files $(FUZZ_OPTIONS) -max_len=200000 -artifact_prefix=$(FUZZ)/findings/driver-
	$(BIN)/python tests/fuzz/python_reader.py $(FUZZ)/corpus/python $(FUZZ)/seeds/files $(FUZZ_OPTIONS) -max_len=300000 -artifact_prefix=$(FUZZ)/findings/python-

clean:
	rm -rf build demo site $(VENV) $(TEST_VENV)
