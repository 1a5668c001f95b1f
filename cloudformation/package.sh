#!/usr/bin/env bash
# Builds what is published: the provider's zips for provided.al2023, and the command line as a static
# program, with their checksums. The same source gives the same bytes, wherever the clone is.
#
# Needs Rust and Python 3; installs the rest into a virtual environment under the target folder. What
# cannot be built here, because there is no standard library for its processor, is named.
#
# From the environment, all optional:
#   ARCHITECTURES  what to build      "arm64 x86_64"
#   STRICT         1 fails when something of that cannot be built
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# Its download and loading are part of every cold start.
readonly LARGEST_ZIP=6000000
# What provided.al2023 has.
readonly NEWEST_GLIBC=2.34

target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$target" "$packages"
target=$(cd "$target" && pwd)
packages=$(cd "$packages" && pwd)
# Cargo builds what it is called in.
cd "$root"
# Apart from other builds, which have other flags.
export CARGO_TARGET_DIR=$target/packaging CARGO_INCREMENTAL=0
environment=$target/package-environment
requirements=$root/cloudformation/requirements.txt
missing=()

triples() {
    local processor=${1/arm64/aarch64}
    echo "$processor-unknown-linux-gnu" "$processor-unknown-linux-musl"
}

install_builders() {
    if ! cmp -s "$requirements" "$environment/requirements.txt"; then
        rm -rf "$environment"
        python3 -m venv "$environment"
        "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
        cp "$requirements" "$environment/"
    fi
    PATH=$environment/bin:$PATH
}

# has_library TRIPLE: whether Rust can build for it.
has_library() {
    [ -d "$(rustc --print target-libdir --target "$1" 2>/dev/null)" ]
}

# install_libraries ARCHITECTURE...: asks once for all that is missing, so that a network that swallows
# everything is waited for once. Whether it worked, has_library tells.
install_libraries() {
    local architecture triple wanting=() limit=()
    for architecture in "$@"; do
        for triple in $(triples "$architecture"); do
            has_library "$triple" || wanting+=("$triple")
        done
    done
    if [ ${#wanting[@]} -eq 0 ] || ! command -v rustup >/dev/null; then
        return
    fi
    echo "Asks rustup for the standard library of ${wanting[*]}."
    # macOS has no such command.
    ! command -v timeout >/dev/null || limit=(timeout 180)
    "${limit[@]}" rustup target add "${wanting[@]}" || true
}

# Paths end up in messages of panics and assertions: from here on they read the same everywhere. The
# last match counts, so the deeper folder comes last.
forget_paths() {
    local cargo_home=${CARGO_HOME:-$HOME/.cargo} library commit
    # Where its sources are installed, the standard library is found there, else under what it was built as.
    library=$(rustc --print sysroot)/lib/rustlib/src/rust
    commit=$(rustc -vV | awk '/^commit-hash:/ { print $2 }')
    export RUSTFLAGS="--remap-path-prefix=$root=/source --remap-path-prefix=$CARGO_TARGET_DIR=/target \
--remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$library=/rustc/$commit"
    export CFLAGS="-ffile-prefix-map=$root=/source -ffile-prefix-map=$CARGO_TARGET_DIR=/target \
-ffile-prefix-map=$cargo_home=/cargo"
}

# build_function ARCHITECTURE TRIPLE
build_function() {
    local folder=$packages/$1
    mkdir -p "$folder"
    # The suffix is the C library that it has to make do with.
    cargo lambda build --release --locked --quiet --package cfn-container-image-provider --bin bootstrap \
        --target "$2.$NEWEST_GLIBC" --lambda-dir "$CARGO_TARGET_DIR/lambda-$1"
    cp "$CARGO_TARGET_DIR/lambda-$1/bootstrap/bootstrap" "$folder/bootstrap"
    python3 "$root/cloudformation/pack.py" zip "$folder/bootstrap" "$packages/bootstrap-$1.zip"
}

# check_function ARCHITECTURE: prints what matters of a package, and fails above a bound.
check_function() {
    local zip=$packages/bootstrap-$1.zip bytes glibc
    bytes=$(wc -c <"$zip")
    glibc=$(python3 "$root/cloudformation/pack.py" glibc "$packages/$1/bootstrap")
    printf '%s: zip %s bytes (%s are allowed), program %s bytes, needs glibc %s (%s is there)\n' "$1" \
        "$bytes" "$LARGEST_ZIP" "$(wc -c <"$packages/$1/bootstrap")" "$glibc" "$NEWEST_GLIBC"
    [ "$bytes" -le "$LARGEST_ZIP" ] || fail "$zip is too large"
    newest "$NEWEST_GLIBC" "$glibc" || fail "$1 needs glibc $glibc, which provided.al2023 does not have"
}

# newest VERSION OTHER: whether the other one is not newer.
newest() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]
}

# build_command ARCHITECTURE TRIPLE TRIPLE: the command line as one static file. With musl it can be built
# for any processor; without, for this machine's own with its C library, which from 2.34 on has all
# that names of hosts need.
build_command() {
    local triple=$3 built
    if has_library "$triple"; then
        cargo zigbuild --release --locked --quiet --package container-image --target "$triple"
    elif [ "${2%%-*}" = "$(uname -m)" ] && has_library "$2" && has_static_glibc; then
        triple=$2
        RUSTFLAGS="$RUSTFLAGS -C target-feature=+crt-static" CARGO_TARGET_DIR=$CARGO_TARGET_DIR/static \
            cargo build --release --locked --quiet --package container-image --target "$triple"
        built=$CARGO_TARGET_DIR/static/$triple/release/container-image
    else
        not_built "container-image for $1" "$triple"
        return
    fi
    cp "${built:-$CARGO_TARGET_DIR/$triple/release/container-image}" "$packages/container-image-$1"
    python3 "$root/cloudformation/pack.py" static "$packages/container-image-$1"
    printf '%s: container-image %s bytes, static, built for %s\n' "$1" \
        "$(wc -c <"$packages/container-image-$1")" "$triple"
}

has_static_glibc() {
    local version
    version=$(getconf GNU_LIBC_VERSION 2>/dev/null) || return 1
    [ -f "$(cc -print-file-name=libc.a)" ] && newest "${version#glibc }" "$NEWEST_GLIBC"
}

# not_built WHAT TRIPLE
not_built() {
    missing+=("$1")
    printf 'NOT BUILT: %s: the standard library of %s is not here and cannot be installed; with rustup and a network, rustup target add %s does it\n' \
        "$1" "$2" "$2" >&2
}

command -v rustc >/dev/null || fail 'Rust is needed; see https://rustup.rs'
command -v python3 >/dev/null || fail 'Python 3 is needed'
read -ra wanted <<<"${ARCHITECTURES:-arm64 x86_64}"
echo "Packages version $(version) for ${wanted[*]} in $packages."
install_builders
install_libraries "${wanted[@]}"
forget_paths
rm -rf "$packages"
mkdir -p "$packages"
cp "$root/cloudformation/Dockerfile" "$packages/"

for architecture in "${wanted[@]}"; do
    read -r glibc musl <<<"$(triples "$architecture")"
    if has_library "$glibc"; then
        build_function "$architecture" "$glibc"
        check_function "$architecture"
    else
        not_built "bootstrap-$architecture.zip" "$glibc"
    fi
    build_command "$architecture" "$glibc" "$musl"
done

cd "$packages"
shopt -s nullglob
files=(bootstrap-*.zip container-image-*)
[ ${#files[@]} -gt 0 ] || fail 'nothing could be built'
if command -v sha256sum >/dev/null; then sha256sum "${files[@]}"; else shasum -a 256 "${files[@]}"; fi >SHA256SUMS
cat SHA256SUMS
if [ ${#missing[@]} -gt 0 ] && [ "${STRICT:-}" = 1 ]; then
    fail "${#missing[@]} of the packages could not be built"
fi
