# make learn    set up once, then show where you are and the next briefing
# make test     the project's own tests
# make check    lint, types, architecture, tests
# make verify   the whole proof that every group is sound: minutes
# make pins     pin what ships in groups/, after an edit
# make wheel    dist/brownout-….whl: all of it, for those who have no clone
# make lock     pin the dependencies anew (needs uv)

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
LOG   := $(VENV)/setup.log

.PHONY: learn test check pins verify wheel lock clean
.DEFAULT_GOAL := learn

learn: $(READY)
	@$(BIN)/learn
	@$(BIN)/learn next
	@echo
	@echo "  To type \`learn\` yourself, once in each terminal:  source $(BIN)/activate"

test: $(READY)
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

check: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

pins: $(READY)
	@$(BIN)/python -m grader.verify.pins

verify: $(READY)
	@$(BIN)/learn verify $(ARGS)

wheel: $(READY)
	@$(BIN)/python -m grader.verify.pins --check
	@$(BIN)/python -m hatchling build -t wheel

lock:
	@uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-header --quiet $(ARGS) -o requirements.lock

clean:
	@rm -rf $(VENV)

# Set-up is done once; again when the dependencies change, or when the folder was moved.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

PYTHON ?=
SUITABLE := import sys; sys.exit(sys.implementation.name != "cpython" or not (3, 11) <= sys.version_info < (3, 15))

$(READY): requirements.lock pyproject.toml
	@set -e; \
	fail() { echo "✗ $$1" >&2; exit 1; }; \
	python=; \
	for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		if "$$candidate" -c '$(SUITABLE)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	[ -n "$$python" ] || fail 'Brownout needs CPython 3.11 to 3.14, and $(or $(PYTHON),this machine) has none: install one, or name it with  make learn PYTHON=/path/to/python'; \
	if [ "$$(cat $(READY) 2>/dev/null)" != "$(CURDIR)" ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		"$$python" -c 'import venv, ensurepip' >/dev/null 2>&1 \
			|| fail "$$python cannot make a virtual environment: install its venv module (Debian, Ubuntu: sudo apt install python3-venv), then run make again"; \
		"$$python" -m venv --clear $(VENV) >/dev/null || fail 'could not make $(VENV) here: is the disk full or read-only?'; \
	fi; \
	rm -f $(READY); \
	echo "Setting up $(VENV) with $$($(BIN)/python -V): $$(grep -c '^[a-z0-9]' requirements.lock) pinned packages, half a minute, once …"; \
	export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1; \
	{ $(BIN)/python -m pip install --require-hashes -r requirements.lock \
		&& $(BIN)/python -m pip install --no-deps --no-build-isolation -e .; } >$(LOG) 2>&1 \
		|| fail "set-up stopped: $$(grep -m1 -E '^ERROR|Error: ' $(LOG) || tail -n1 $(LOG)) (all of it: $(LOG)); run make again when that is mended"; \
	printf '%s' "$(CURDIR)" >$(READY); \
	echo '✓ Ready.'
