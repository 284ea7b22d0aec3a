# Every command here is complete from a bare clone and may be repeated; nothing is done twice.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TOPOLOGY ?= topologies/triangle.yaml
FUZZ ?= long
VENV := .venv
BIN := $(VENV)/bin
# Named by what it was made from, so that a changed lock file or pyproject.toml, or a moved folder, makes it again.
READY := $(VENV)/.ready-$(shell { echo $(CURDIR); cat requirements.lock pyproject.toml; } | sha256sum | cut -c1-16)

# What the lab needs from the machine, and what the tests compare with.
PACKAGES := python3-venv ca-certificates mmdebstrap systemd-container iproute2 nftables apt-utils busybox-static \
	debian-archive-keyring openssh-client iputils-ping procps util-linux mount

.PHONY: help setup packages demo test test-long fuzz test-unit test-lab test-failures test-matrix lint typecheck format docs bench bench-failover bench-soak lock clean \
	vagrant-packages vagrant-box test-vagrant

help: ## This list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: packages $(READY) ## Debian packages (as root), virtual environment, dependencies

packages:
	@missing=$$(for p in $(PACKAGES); do \
	    dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" != 0 ]; then \
	        echo "The lab needs packages: run \`sudo apt-get install" $$missing"\`, or this as root." >&2; exit 1; fi; \
	    echo "Installing" $$missing; \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get -qq update && apt-get -qq -y install --no-install-recommends $$missing; \
	fi

# A Python of 3.11 or later with `venv`; as root, the package that has `venv` is installed when it is missing.
$(READY):
	@python=$$(for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done) || true; \
	if [ -z "$$python" ]; then \
	    echo "meshctl needs Python 3.11 or later; found $$(python3 --version 2>/dev/null || echo none)." \
	        "Debian 12, Ubuntu 24.04 and later have it (apt-get install python3-venv)." >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    name=$$($$python -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	    if [ "$$(id -u)" != 0 ]; then echo "$$python has no venv: sudo apt-get install $$name" >&2; exit 1; fi; \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $$name; fi; \
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $$python -m venv --clear $(VENV)
	@echo "Installing dependencies into $(VENV)"
	@$(BIN)/python -m pip --disable-pip-version-check install -q --require-hashes -r requirements.lock
	@$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.ready-* && touch $@

demo: setup ## Boot three hosts, make them one cluster, and leave it running
	@$(BIN)/meshctl lab up $(TOPOLOGY)
	@$(BIN)/meshctl --lab bootstrap $(TOPOLOGY) --yes
	@echo "$$LOOK_AROUND"

define LOOK_AROUND

The cluster is running. Look around:
  $(BIN)/meshctl lab ssh $(TOPOLOGY) node1                     a shell on node1
  $(BIN)/meshctl lab ssh $(TOPOLOGY) node1 incus cluster list  its Incus members
  $(BIN)/meshctl lab ssh $(TOPOLOGY) node2 ceph -s             Ceph's health
  $(BIN)/meshctl lab ssh $(TOPOLOGY) node3 vtysh -c "'show ip ospf neighbor'"
Pull a cable out, see every gate still pass or say what is wrong, and put it back:
  $(BIN)/meshctl lab cut $(TOPOLOGY) node1 node2
  $(BIN)/meshctl --lab verify $(TOPOLOGY)
  $(BIN)/meshctl lab heal $(TOPOLOGY) node1 node2
Bootstrap again (nothing changes), and take it all down:
  $(BIN)/meshctl --lab bootstrap $(TOPOLOGY) --yes
  $(BIN)/meshctl lab down $(TOPOLOGY)
endef
export LOOK_AROUND

test: setup ## Every check and every test, the lab included (root)
	@$(MAKE) lint typecheck
	$(BIN)/pytest -m "not lab"
	$(BIN)/pytest -m "lab and not long" tests/lab

test-long: setup ## Reboots under load, failures, diseases, disks, certification, another CA: hours (root, a quiet machine)
	$(BIN)/pytest -m "lab and long" tests/lab

test-unit: $(READY) ## Tests without the lab; no root
	$(BIN)/pytest -m "not lab"

fuzz: $(READY) ## Forty times the fuzzing that test-unit does, other inputs each time; FUZZ=night: four hundred times
	MESHCTL_FUZZ=$(FUZZ) $(BIN)/pytest tests/fuzz

test-lab: setup ## Only the tests in the lab (root)
	$(BIN)/pytest -m "lab and not long" tests/lab

test-failures: setup ## Failures and hanging daemons, those that wait for minutes too (root)
	MESHCTL_LONG=1 $(BIN)/pytest -m lab tests/lab/test_failures.py tests/lab/test_hangs.py

test-matrix: setup ## The kill matrix, hours; goes on where it was; MATRIX="--only=power --seed=1 --minutes=60 …" (root)
	$(BIN)/python -m tests.matrix $(MATRIX)

# Apart from `setup`: half a gigabyte that nothing else here needs.
VAGRANT_PACKAGES := vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils dnsmasq-base iptables
vagrant-packages: ## Debian packages for the virtual machines of vagrant/ (root)
	@$(MAKE) packages PACKAGES="$(VAGRANT_PACKAGES)"

vagrant-box: setup vagrant-packages ## The box of vagrant/ from Debian packages, once; BOX="--again --out=FOLDER …" (root)
	vagrant/build-box $(BOX)

test-vagrant: vagrant-box ## The cluster in virtual machines: 80 minutes at most; goes on where it was; VM="--list" (root)
	vagrant/isolated $(BIN)/python -m tests.vagrant $(VM)

lint: $(READY) ## ruff: all rules, and the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# roles/ is put on meshctl.roles' __path__ at run time, which mypy can't see: it checks a tree where roles/ lies
# where it is imported from. Links keep the modification times, so that mypy's cache stays valid.
TREE := .mypy_cache/tree
typecheck: $(READY) ## mypy, strict
	@rm -rf $(TREE) && mkdir -p $(TREE)
	@cp -rl meshctl tests $(TREE)/ && { [ -z "$$(ls roles)" ] || cp -rl roles/. $(TREE)/meshctl/roles/; }
	@find $(TREE) -name __pycache__ -prune -exec rm -rf {} +
	@cd $(TREE) && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache/merged \
	    meshctl tests | sed -E 's#^meshctl/roles/([a-z0-9_]+)/#roles/\1/#'

docs: $(READY) ## Write the pages and the schema that are made from the models
	@$(BIN)/python -c 'import meshctl.topology.reference as r; \
	    open("docs/topology.md", "w").write(r.markdown()); open("docs/lint.md", "w").write(r.lint_page())'
	@$(BIN)/meshctl schema > topologies/topology.schema.json

bench: setup ## Measure what docs/benchmarks.md states (root)
	$(BIN)/python tests/bench/bench.py

bench-failover: setup ## Measure what docs/failover.md states: traffic lost to each kind of cut (root)
	PYTHONPATH=. $(BIN)/python tests/bench/failover.py

bench-soak: setup ## Fast BFD for ten minutes with every core busy; fails when a session goes down (root)
	PYTHONPATH=. $(BIN)/python tests/bench/soak.py

# pip-compile doesn't read dependency groups, so both lists go through a file; no index's address is kept.
lock: $(READY) ## Lock the newest versions with their hashes into requirements.lock
	@mkdir -p build && $(BIN)/python -m venv build/lock
	@build/lock/bin/pip --disable-pip-version-check install -q pip-tools
	@build/lock/bin/python -c 'import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); \
	    print(*t["project"]["dependencies"], *t["dependency-groups"]["dev"], sep="\n")' > build/requirements.in
	@build/lock/bin/pip-compile -q --upgrade --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.lock build/requirements.in
	@sed -i '1i # Made by `make lock` from pyproject.toml; every version and hash is exact.' requirements.lock
	@! grep -nE '[a-z]+://|^-' requirements.lock

clean: ## Remove what make has made here; labs and their images stay
	rm -rf $(VENV) build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find meshctl roles tests -name __pycache__ -prune -exec rm -rf {} +
