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
