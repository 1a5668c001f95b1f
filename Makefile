# The commands of this repository. `make` without arguments lists them.

# Cargo's output folder.
TARGET := $(or $(CARGO_TARGET_DIR),target)
CARGO := cargo
# The release build of the function. If BOOTSTRAP names another program, that one is used without a build.
RELEASE := $(TARGET)/release/bootstrap
BOOTSTRAP := $(RELEASE)

# The AWS actions that the function used in the tests. The file exists only if all tests passed.
ACTIONS_SEEN := $(abspath $(TARGET))/actions-seen

# Builds the debug programs, with the tests. Without the tests, tokio, serde_json and others have fewer features, and
# Cargo compiles them and their dependents again.
BUILD_ALL := $(CARGO) build --locked --workspace --all-targets

# Private items are documented too, so links to them are valid.
RUSTDOC_LINTS := -Dwarnings -Arustdoc::private_intra_doc_links

.PHONY: help build demo test check templates refresh samples interop measure bench package release deploy publish delete

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(BOOTSTRAP) ## Run the function in a stack that is created, updated, rolled back and deleted
	BOOTSTRAP=$(BOOTSTRAP) $(CARGO) run --locked --quiet -p end-to-end --bin demo

test: ## Run all tests that need only Rust
	@rm -f $(ACTIONS_SEEN) $(ACTIONS_SEEN).part
	$(BUILD_ALL)
	ACTIONS_SEEN=$(ACTIONS_SEEN).part $(CARGO) test --locked --workspace
	@mv $(ACTIONS_SEEN).part $(ACTIONS_SEEN)

check: ## Check format, lints, documentation, language, dependencies and licenses (needs Python 3)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="$(RUSTDOC_LINTS)" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	tests/invariants.sh
	tests/prose/run.sh
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo 'NOT CHECKED: licenses and bans. Run cargo install --locked cargo-deny first.' >&2; \
	fi

templates: ## Test templates, samples, scripts and docs (needs Python 3 and jq)
	tests/templates/run.sh

refresh: ## Run the definition of the refresh stack with the real function (needs Python 3)
	$(BUILD_ALL)
	PROGRAMS=$(abspath $(TARGET))/debug tests/templates/run.sh --refresh

samples: $(BOOTSTRAP) ## Run the images of the samples through the function: create, update, delete (needs Python 3)
	tests/templates/run.sh --export $(TARGET)/samples.json
	BOOTSTRAP=$(BOOTSTRAP) $(CARGO) run --locked --quiet -p end-to-end --bin samples -- $(TARGET)/samples.json

interop: ## Copy between real registries and compare with skopeo (needs Go, and Debian packages that it lists)
	$(BUILD_ALL)
	tests/interop/run.py $(TARGET)/debug/container-image $(TARGET)/interop

measure: $(BOOTSTRAP) ## Measure cold start and peak memory, also for hostile inputs, and compare with the limits
	$(BUILD_ALL)
	BOOTSTRAP=$(BOOTSTRAP) $(CARGO) run --locked --quiet -p end-to-end --bin measure

bench: ## Compare speed and CPU time with crane and skopeo (needs Go, and the packages of interop)
	$(CARGO) build --locked --release -p container-image
	tests/bench/run.py $(TARGET)/release/container-image

package: ## Build the zip files and the command line for both architectures (ARCHITECTURES, PROGRAMS, STRICT=1)
	cloudformation/package.sh

release: ## Build and verify all files of a release: packages, template, SBOMs, checksums (needs cargo-cyclonedx)
	cloudformation/release.sh

deploy: ## Install or update the provider from the packages (PARAMETERS, STACK, ARCHITECTURE, BUCKET_PREFIX)
	cloudformation/deploy.sh

publish: ## Upload packages and template to buckets for other accounts (BUCKET_PREFIX is required; REGIONS, READERS)
	cloudformation/publish.sh

delete: ## Delete the provider unless stacks still use it (STACK, FORCE=1)
	cloudformation/delete.sh

build: $(RELEASE) ## Build both programs in release mode
	$(CARGO) build --locked --release -p container-image

# Cargo decides if it is up to date.
.PHONY: $(RELEASE)
$(RELEASE):
	$(CARGO) build --locked --release -p cfn-container-image-provider
