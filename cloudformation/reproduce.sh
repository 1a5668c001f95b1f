#!/usr/bin/env bash
# Checks that the packages depend only on the source: builds them in a clone with other folders and compares
# them. Both builds share only the downloaded crates.
#
# Requires git, and make package of the same commit. Optional environment variable:
#   ARCHITECTURES  architectures to build again      "arm64 x86_64"
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

[ -f "$packages/SHA256SUMS" ] || fail "$packages contains no packages; run make package"
[ -z "$(git -C "$root" status --porcelain)" ] || fail 'the working tree has changes, which a clone does not have; commit them'

# Paths with other lengths than usual.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone --quiet "$root" "$folder/somewhere/quite/different"

cargo_home=${CARGO_HOME:-$HOME/.cargo}
export CARGO_HOME=$folder/downloads
mkdir "$CARGO_HOME"
for part in "$cargo_home"/*; do
    ln -s "$part" "$CARGO_HOME/"
done
# Without these, zig would reuse its cache of the first build.
export ZIG_GLOBAL_CACHE_DIR=$folder/zig CARGO_ZIGBUILD_CACHE_DIR=$folder/zigbuild
export CARGO_TARGET_DIR=$folder/built
unset PACKAGES
"$folder/somewhere/quite/different/cloudformation/package.sh"

if differing=$(grep -vxFf "$packages/SHA256SUMS" "$CARGO_TARGET_DIR/package/SHA256SUMS"); then
    printf '%s\n' "$differing" >&2
    fail "these files differ from those in $packages; check that both builds used this commit and the same Rust version"
fi
echo "Identical: $(wc -l <"$CARGO_TARGET_DIR/package/SHA256SUMS") files of two clones."
