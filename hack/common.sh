# Sourced by the other scripts: where things are cached, and how a stage is told.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/keywright
export PATH="$cache/tools/bin:$PATH"

# stage NAME COMMAND...   runs the command and says how long it took. Where it fails the script ends; with KEEP_GOING set it
# goes on and `summary` fails, so that one run tells everything.
stage() {
  local name=$1 from=$SECONDS verdict=ok
  shift
  printf '\n== %s\n' "$name"
  "$@" || verdict=FAILED
  stages+=("$(printf '%5d s  %-6s  %s' $((SECONDS - from)) "$verdict" "$name")")
  echo "== $name: $verdict, $((SECONDS - from)) s"
  if [ "$verdict" = FAILED ]; then
    failed=1
    [ -n "${KEEP_GOING:-}" ] || summary
  fi
}
failed=0
stages=()

# All stages so far, one line each; ends the script with the verdict.
summary() {
  printf '\n'
  printf '%s\n' "${stages[@]}"
  printf '%5d s  together\n' "$SECONDS"
  exit "$failed"
}

# go_command GO.MOD   a Go toolchain that is new enough for this module, or nothing.
go_command() {
  local wanted found go
  wanted=$(sed -nE 's/^go ([0-9.]+)$/\1/p' "$1")
  for go in go /usr/local/go/bin/go "$cache"/go-*/go/bin/go; do
    found=$(GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null) || continue
    if [ "$(printf '%s\n' "$wanted" "${found#go}" | sort -V | head -1)" = "$wanted" ]; then
      echo "$go"
      return
    fi
  done
}
