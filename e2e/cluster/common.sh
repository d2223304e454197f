# Sourced by the scripts of this folder: where things are, and how processes are kept.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
state=${KEYWRIGHT_CLUSTER:-$checkout/.keywright/cluster}
# The release binaries.
built=${KEYWRIGHT_BIN:-${CARGO_TARGET_DIR:-$checkout/target}/release}
kubeconfig=$state/kubeconfig/admin
api=https://10.77.0.1:6443
# Name, address, pod range and fixed MAC address of each node.
nodes=(general signer)
declare -A address=([general]=10.77.0.11 [signer]=10.77.0.12)
declare -A pods=([general]=10.77.1.0/24 [signer]=10.77.2.0/24)
declare -A mac=([general]=02:77:00:00:00:11 [signer]=02:77:00:00:00:12)

tell() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# until_true SECONDS WHAT COMMAND...: asks every 0.2 s.
until_true() {
  local limit=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $limit ] || { echo "error: waited in vain until $what" >&2; return 1; }
    sleep 0.2
  done
}

# start NAME COMMAND...: a process of its own session, its output in logs/NAME, its id in run/NAME.
start() {
  local name=$1
  shift
  mkdir -p "$state/run" "$state/logs"
  setsid "$@" </dev/null >>"$state/logs/$name" 2>&1 &
  echo $! >"$state/run/$name"
}
pid() { cat "$state/run/$1"; }
alive() { [ -f "$state/run/$1" ] && kill -0 "$(pid "$1")" 2>/dev/null; }

# stop NAME [SIGNAL]: only what `start` started.
stop() {
  if alive "$1"; then
    kill "-${2:-TERM}" "$(pid "$1")" 2>/dev/null || true
    until_true 10 "$1 has ended" gone "$1" || kill -KILL "$(pid "$1")" 2>/dev/null || true
  fi
  rm -f "$state/run/$1"
}
gone() { ! alive "$1"; }

# The process in a namespace of its own below the one that `unshare --fork` is.
inner() { cat "/proc/$(pid "$1")/task/$(pid "$1")/children" | tr -d ' '; }
has_inner() { [ -n "$(inner "$1" 2>/dev/null)" ]; }
in_hub() { nsenter -t "$(inner hub)" -n "$@"; }
in_node() { nsenter -t "$(inner "node-$1")" -n -m -C -p -u -i "${@:2}"; }
export KUBECONFIG=$kubeconfig
