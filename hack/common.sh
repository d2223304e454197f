# Sourced by the other scripts: where things are cached, and how a stage is told.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/keywright
export PATH="$cache/tools/bin:$PATH"

# stage NAME COMMAND...   runs the command and says how long it took; ends the script where it fails.
stage() {
  local name=$1 from=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then
    stages+=("$(printf '%5d s  %s' $((SECONDS - from)) "$name")")
    echo "== $name: ok, $((SECONDS - from)) s"
  else
    echo "== $name: FAILED after $((SECONDS - from)) s; again by itself: $*" >&2
    exit 1
  fi
}
stages=()

# All stages so far, one line each.
summary() { printf '\n'; printf '%s\n' "${stages[@]}"; printf '%5d s  together\n' "$SECONDS"; }
