#!/usr/bin/env bash
# Proves that the packages depend on the source alone: packages a clone in another folder, into another
# target folder, and compares. Nothing is shared but what was downloaded, and that has another path.
#
# Needs git, and make package of the same commit. From the environment, optional:
#   ARCHITECTURES  what to build a second time      "arm64 x86_64"
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

[ -f "$packages/SHA256SUMS" ] || fail "there are no packages in $packages; run make package"
[ -z "$(git -C "$root" status --porcelain)" ] || fail 'there are changes, which a clone does not have; commit them'

# Names of other lengths than usual.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone --quiet "$root" "$folder/somewhere/quite/different"

cargo_home=${CARGO_HOME:-$HOME/.cargo}
export CARGO_HOME=$folder/downloads
mkdir "$CARGO_HOME"
for part in "$cargo_home"/*; do
    ln -s "$part" "$CARGO_HOME/"
done
# What zig built for the first is not taken for the second.
export ZIG_GLOBAL_CACHE_DIR=$folder/zig CARGO_ZIGBUILD_CACHE_DIR=$folder/zigbuild
export CARGO_TARGET_DIR=$folder/built
unset PACKAGES
"$folder/somewhere/quite/different/cloudformation/package.sh"

if differing=$(grep -vxFf "$packages/SHA256SUMS" "$CARGO_TARGET_DIR/package/SHA256SUMS"); then
    printf '%s\n' "$differing" >&2
    fail "these are not the bytes that $packages has; was it made from this commit, by the same Rust?"
fi
echo "The same bytes: $(wc -l <"$CARGO_TARGET_DIR/package/SHA256SUMS") files of two clones."
