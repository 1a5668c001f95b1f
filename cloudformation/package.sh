#!/usr/bin/env bash
# Builds the provider's zip files for provided.al2023, the command line as a static program, and their
# checksums. The same source results in the same bytes in every folder.
#
# Requires Rust and Python 3. Installs other tools into a virtual environment under the target folder.
# Prints the files that it cannot build because the standard library of their target is missing.
#
# Supports Bash 3.2 (as on macOS), which rejects the expansion of an empty array with set -u.
#
# Optional environment variables:
#   ARCHITECTURES  architectures to build      "arm64 x86_64"
#   PROGRAMS       programs to build           "function command-line"
#   PACKAGES       output folder               target/package
#   STRICT         1 fails if one of the files cannot be built
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# Maximum size of a zip file in bytes. Lambda downloads and unpacks it in every cold start.
readonly LARGEST_ZIP=6600000
# The glibc version of provided.al2023.
readonly NEWEST_GLIBC=2.34

target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$target" "$packages"
target=$(cd "$target" && pwd)
packages=$(cd "$packages" && pwd)
# Cargo builds the workspace of the current folder.
cd "$root"
# A separate folder, because other flags would invalidate other builds.
export CARGO_TARGET_DIR=$target/packaging CARGO_INCREMENTAL=0
environment=$target/package-environment
requirements=$root/cloudformation/requirements.txt
missing=()

triples() {
    local architecture=${1/arm64/aarch64}
    echo "$architecture-unknown-linux-gnu" "$architecture-unknown-linux-musl"
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

# has_library TRIPLE: succeeds if Rust has the standard library of the target.
has_library() {
    [ -d "$(rustc --print target-libdir --target "$1" 2>/dev/null)" ]
}

# install_libraries ARCHITECTURE...: installs all missing libraries with one command, so that the timeout
# of an unreachable network passes only once. The caller checks has_library again.
install_libraries() {
    local architecture triple wanting=() limit=()
    for architecture in "$@"; do
        for triple in $(triples "$architecture"); do
            [[ $triple != *-musl ]] || builds command-line || continue
            has_library "$triple" || wanting+=("$triple")
        done
    done
    if [ ${#wanting[@]} -eq 0 ] || ! command -v rustup >/dev/null; then
        return
    fi
    echo "Installs the standard library of ${wanting[*]} with rustup."
    # Seconds. macOS has no such command.
    ! command -v timeout >/dev/null || limit=(timeout 180)
    ${limit[@]+"${limit[@]}"} rustup target add ${wanting[@]+"${wanting[@]}"} || true
}

# Replaces the paths that panics and assertions contain, so that they are the same on every machine. The
# last match wins, so the deeper folder comes last.
remap_paths() {
    local cargo_home=${CARGO_HOME:-$HOME/.cargo} library commit
    # Paths of the standard library contain the commit unless its sources are installed.
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
    echo "Builds the function for $1."
    # The suffix is the glibc version to link against.
    cargo lambda build --release --locked --quiet --package cfn-container-image-provider --bin bootstrap \
        --target "$2.$NEWEST_GLIBC" --lambda-dir "$CARGO_TARGET_DIR/lambda-$1"
    cp "$CARGO_TARGET_DIR/lambda-$1/bootstrap/bootstrap" "$folder/bootstrap"
    python3 "$root/cloudformation/pack.py" zip "$folder/bootstrap" "$packages/bootstrap-$1.zip"
}

# check_function ARCHITECTURE: prints the sizes and the glibc version, and fails if one is too large.
check_function() {
    local zip=$packages/bootstrap-$1.zip bytes glibc
    bytes=$(wc -c <"$zip")
    glibc=$(python3 "$root/cloudformation/pack.py" glibc "$packages/$1/bootstrap")
    printf '%s: zip %s bytes (limit %s), program %s bytes, needs glibc %s (limit %s)\n' "$1" \
        "$bytes" "$LARGEST_ZIP" "$(wc -c <"$packages/$1/bootstrap")" "$glibc" "$NEWEST_GLIBC"
    [ "$bytes" -le "$LARGEST_ZIP" ] || fail "$zip is too large"
    is_at_most "$glibc" "$NEWEST_GLIBC" || fail "$1 needs glibc $glibc, which provided.al2023 does not have"
}

# is_at_most VERSION LIMIT
is_at_most() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$2" ]
}

# build_command ARCHITECTURE GLIBC_TRIPLE MUSL_TRIPLE: builds the command line as a static program. With musl,
# this works for every architecture. Without musl, it works for this machine's architecture and glibc 2.34 or
# newer, whose static library can resolve host names.
build_command() {
    local triple=$3 built
    echo "Builds the command line for $1."
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
    [ -f "$(cc -print-file-name=libc.a)" ] && is_at_most "$NEWEST_GLIBC" "${version#glibc }"
}

# check_words VARIABLE VALUE ALLOWED...: rejects other words in the value of a variable.
check_words() {
    local variable=$1 value=$2 word
    shift 2
    for word in $value; do
        [[ " $* " == *" $word "* ]] || fail "$variable has $word; expected one or both of: $*"
    done
}

# builds PROGRAM: succeeds if PROGRAMS contains it.
builds() {
    [[ " $programs " == *" $1 "* ]]
}

# Deletes the files of an earlier run. PACKAGES can be a folder with other files.
delete_packages() {
    local architecture
    for architecture in arm64 x86_64; do
        rm -f "$packages/bootstrap-$architecture.zip" "$packages/container-image-$architecture" \
            "$packages/$architecture/bootstrap"
    done
    rm -f "$packages/SHA256SUMS" "$packages/VERSION"
}

# not_built WHAT TRIPLE
not_built() {
    missing+=("$1")
    printf 'NOT BUILT: %s: the standard library of %s is missing and cannot be installed; run rustup target add %s with a network connection\n' \
        "$1" "$2" "$2" >&2
}

command -v rustc >/dev/null || fail 'Rust was not found; see https://rustup.rs'
command -v python3 >/dev/null || fail 'Python 3 was not found'
wanted=${ARCHITECTURES:-arm64 x86_64}
check_words ARCHITECTURES "$wanted" arm64 x86_64
programs=${PROGRAMS:-function command-line}
check_words PROGRAMS "$programs" function command-line
echo "Packages version $(version) for $wanted in $packages: $programs."
install_builders
# One argument for each architecture.
# shellcheck disable=SC2086
install_libraries $wanted
remap_paths
delete_packages
cp "$root/cloudformation/Dockerfile" "$packages/"

for architecture in $wanted; do
    read -r glibc musl <<<"$(triples "$architecture")"
    if builds function; then
        if has_library "$glibc"; then
            build_function "$architecture" "$glibc"
            check_function "$architecture"
        else
            not_built "bootstrap-$architecture.zip" "$glibc"
        fi
    fi
    if builds command-line; then build_command "$architecture" "$glibc" "$musl"; fi
done

cd "$packages"
shopt -s nullglob
files=(bootstrap-*.zip container-image-*)
[ ${#files[@]} -gt 0 ] || fail 'nothing could be built'
checksums ${files[@]+"${files[@]}"} >SHA256SUMS
version >VERSION
cat SHA256SUMS
if [ ${#missing[@]} -gt 0 ] && [ "${STRICT:-}" = 1 ]; then
    fail "${#missing[@]} of the packages could not be built"
fi
