# make demo   encode a real stack and read it with every program; writes demo/
# make test   everything that is checked, in a fresh virtual environment
# make bench  speed and memory against the peers
# Debian's packages are installed when run as root; otherwise they must be there, and what is missing is said.

PYTHON ?= python3
TORCH ?= torch==2.13.0
PACKAGES := g++ cmake python3-dev python3-venv libpython3-dev gdal-bin libgdal-dev python3-gdal python3-rasterio
VENV := .venv
TEST_VENV := .venv-test
BIN := $(TEST_VENV)/bin

.PHONY: demo test lint bench system clean

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
	$(BIN)/python -m pytest -q

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

clean:
	rm -rf build demo site $(VENV) $(TEST_VENV)
