#!/usr/bin/env bash
# Every Rust test of the workspace but the stories.
#
# Cargo runs one test program after another, and many of them wait more than they work: for servers that start, for
# deadlines, for a successor of what they killed. So three programs share the cores, those that took longest the last
# time first. Each program's output is printed whole when it has ended.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
claim_target
export STOREFRONT_NATS_SERVER=$BIN/nats-server
TOOK=$CACHE/test-programs.tsv
OUTPUT=$(mktemp -d)
trap 'rm -rf "$OUTPUT"' EXIT
touch "$TOOK"

# Each line: folder of the crate, its test program, what it was made from.
programs() {
  cargo test "${EVERYTHING[@]}" --no-run --message-format=json-render-diagnostics | jq --raw-output '
    select(.reason == "compiler-artifact" and .profile.test and .executable)
    | [(.manifest_path | rtrimstr("/Cargo.toml")), .executable, .target.src_path] | @tsv'
}

# by_duration: what is unknown comes first, since it may take long.
by_duration() {
  awk -F '\t' -v took="$TOOK" -v root="^$ROOT/" '
    BEGIN { while ((getline line < took) > 0) { split(line, field, "\t"); seconds[field[1]] = field[2] } }
    { sub(root, "", $3); print ($3 in seconds ? seconds[$3] : 9999) "\t" $1 "\t" $2 "\t" $3 }' |
    sort --numeric-sort --reverse | cut -f 2-
}

# one FOLDER PROGRAM SOURCE: as Cargo would run it. The folder `-` stands for the examples in the documentation.
one() {
  local folder=$1 program=$2 source=$3 output began=$EPOCHREALTIME status=0
  output=$OUTPUT/${source//\//-}
  if [[ $folder == - ]]; then
    cargo test "${EVERYTHING[@]}" --doc --no-fail-fast > "$output" 2>&1 || status=$?
  else
    (cd "$folder" && CARGO_MANIFEST_DIR=$folder "$program") > "$output" 2>&1 || status=$?
  fi
  {
    flock 9
    printf '\n     Running %s (%s)\n' "$source" "$(duration "$(since "$began")")"
    cat "$output"
    if ((status != 0)); then printf '     Failed: %s\n' "$source" | tee -a "$OUTPUT/failed"; fi
    printf '%s\t%s\n' "$source" "$(since "$began")" >> "$OUTPUT/took"
  } 9> "$OUTPUT/lock"
}

list=$(programs)
running=0
while IFS=$'\t' read -r folder program source; do
  if ((running == 3)); then
    wait -n
    running=2
  fi
  one "$folder" "$program" "$source" < /dev/null &
  running=$((running + 1))
done < <(by_duration <<< "$list"; printf -- '-\t-\tdocumentation\n')
wait
mv "$OUTPUT/took" "$TOOK"
if [[ -e $OUTPUT/failed ]]; then printf '\n'; cat "$OUTPUT/failed"; exit 1; fi
