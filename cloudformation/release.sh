#!/usr/bin/env bash
# Builds everything that a release publishes, into target/release-VERSION: the zip files and the command line
# for both architectures, the templates, an SBOM for each program (CycloneDX), and the checksums of all files.
# Proves first that a second clone gives the same packages.
#
# Needs what make package needs, git, and cargo-cyclonedx: cargo install --locked cargo-cyclonedx
# Optional environment variable:
#   ARCHITECTURES  architectures to build      "arm64 x86_64"
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

cargo cyclonedx --version >/dev/null 2>&1 ||
    fail 'cargo-cyclonedx was not found; run cargo install --locked cargo-cyclonedx'
[ -z "$(git -C "$root" status --porcelain)" ] || fail 'the working tree has changes, which a release must not have; commit them'

# A release contains all programs.
unset PROGRAMS
STRICT=1 "$root/cloudformation/package.sh"
"$root/cloudformation/reproduce.sh"

release=${CARGO_TARGET_DIR:-$root/target}/release-$(version)
rm -rf "$release"
mkdir -p "$release"
cp "$packages"/bootstrap-*.zip "$packages"/container-image-* "$template" "$refresh_template" "$release/"

# The tool writes beside each Cargo.toml and states the folder, so it runs in a clone.
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone --quiet "$root" "$clone"
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
for architecture in $(architectures); do
    (cd "$clone" && cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps \
        --target "${architecture/arm64/aarch64}-unknown-linux-gnu")
    for program in cfn-container-image-provider/bootstrap container-image/container-image; do
        sed "s|$clone|/source|g" "$clone/crates/${program}_bin.cdx.json" \
            >"$release/${program#*/}-$architecture.cdx.json"
    done
done

cd "$release"
files=(*)
checksums "${files[@]}" >SHA256SUMS
cat SHA256SUMS
echo "Release $(version) is in $release."
