# The commands of this repository. `make` alone lists them.

# Where cargo puts what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
CARGO := cargo
# The provider as it ships. Another one, such as a packaged one, is taken as it is.
RELEASE := $(TARGET)/release/bootstrap
BOOTSTRAP := $(RELEASE)

# Which actions of AWS the tests saw the provider ask for; there only when all tests ran and passed.
ACTIONS_SEEN := $(abspath $(TARGET))/actions-seen

# Pages of private items are built too, so that links to them lead somewhere.
RUSTDOC_LINTS := -Dwarnings -Arustdoc::private_intra_doc_links

.PHONY: help build demo test check templates samples interop measure bench package reproduce deploy publish delete

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(BOOTSTRAP) ## Show the provider at work: a stack created, updated, rolled back and deleted
	BOOTSTRAP=$(BOOTSTRAP) $(CARGO) run --locked --quiet -p end-to-end --bin demo

test: ## Run every test that needs nothing but Rust
	@rm -f $(ACTIONS_SEEN) $(ACTIONS_SEEN).part
	$(CARGO) build --locked --workspace --all-targets
	ACTIONS_SEEN=$(ACTIONS_SEEN).part $(CARGO) test --locked --workspace
	@mv $(ACTIONS_SEEN).part $(ACTIONS_SEEN)

check: ## Run what reads the code: format, lints, docs, licenses, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="$(RUSTDOC_LINTS)" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	tests/invariants.sh
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo 'NOT CHECKED: licenses and bans, for which `cargo install --locked cargo-deny` is needed' >&2; \
	fi

templates: ## Test templates, samples, scripts and what the docs say of them (needs Python 3 and jq)
	tests/templates/run.sh

samples: $(BOOTSTRAP) ## Play the samples' images through the provider, set up as its template does (needs Python 3)
	tests/templates/run.sh --export $(TARGET)/samples.json
	BOOTSTRAP=$(BOOTSTRAP) $(CARGO) run --locked --quiet -p end-to-end --bin samples -- $(TARGET)/samples.json

interop: ## Copy between real registries, with skopeo as judge (needs Go, and says which Debian packages)
	$(CARGO) build --locked -p container-image
	tests/interop/run.py $(TARGET)/debug/container-image $(TARGET)/interop

measure: $(BOOTSTRAP) ## Measure the provider's cold start and peak memory, also for hostile inputs, against their limits
	$(CARGO) build --locked -p container-image
	BOOTSTRAP=$(BOOTSTRAP) $(CARGO) run --locked --quiet -p end-to-end --bin measure

bench: ## Compare speed and CPU time with crane and skopeo (needs Go and the packages of interop)
	$(CARGO) build --locked --release -p container-image
	tests/bench/run.py $(TARGET)/release/container-image

package: ## Build the zips and the command line, for both processors (ARCHITECTURES, STRICT=1)
	cloudformation/package.sh

reproduce: ## Package a clone in another folder, and compare it with what make package made
	cloudformation/reproduce.sh

deploy: ## Install or update the provider with what make package made (PARAMETERS, STACK, ARCHITECTURE, BUCKET_PREFIX)
	cloudformation/deploy.sh

publish: ## Put packages and template where others install them from (BUCKET_PREFIX is a must; REGIONS, READERS)
	cloudformation/publish.sh

delete: ## Delete the provider, unless stacks still use it (STACK, FORCE=1)
	cloudformation/delete.sh

build: $(RELEASE) ## Build both programs as they ship
	$(CARGO) build --locked --release -p container-image

# Cargo knows whether it is up to date.
.PHONY: $(RELEASE)
$(RELEASE):
	$(CARGO) build --locked --release -p cfn-container-image-provider
