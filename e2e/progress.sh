# Sourced by lib.sh: shows each step as one line, and estimates how long the rest takes.
# shellcheck shell=bash

# How long each step took when it last had work to do: STEP <TAB> cold|warm <TAB> seconds. Where this machine has
# not run a step yet, the committed table stands in.
RECORDED=$CACHE/durations.tsv
COMMITTED=$ROOT/e2e/durations.tsv

# step NAME HINT COMMAND...: runs COMMAND with its output in a log file, and prints one line when it has ended. When
# it fails: the last lines of the log, where the rest is, and HINT (how to go on). A function given as COMMAND
# chains with && what must not run after a failure: `set -e` is off where a status is looked at.
step() {
  local name=$1 hint=$2; shift 2
  local log began=$EPOCHREALTIME status=0
  log=$(log_of "$name")
  if [[ -n ${PROGRESS:-} ]]; then printf '%s\t%s\n' "$name" "$began" > "$PROGRESS/running-${log##*/}"; fi
  "$@" > "$log" 2>&1 || status=$?
  if ((status != 0)); then
    printf '%s  %-46s failed after %s (exit code %d)\n\n' "$CLEAR" "$name" "$(duration "$(since "$began")")" "$status"
    tail -n "${LOG_LINES:-20}" "$log" | sed 's/^/  | /'
    printf '\n  The whole log: %s\n  %s\n' "$log" "$hint"
    return "$status"
  fi
  if [[ -n ${PROGRESS:-} ]]; then
    rm -f "$PROGRESS/running-${log##*/}"
    printf '%s\n' "$name" >> "$PROGRESS/done"
    record "$name" "$(since "$began")"
  fi
  printf '%s  %-46s %9s   %s\n' "$CLEAR" "$name" "$(duration "$(since "$began")")" "$(left)" | sed 's/ *$//'
}

# plan LANE NAME cold|warm: announces a step. Steps of the lanes `go` and `rust` run side by side.
plan() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$(estimate "$2" "$3")" >> "$PROGRESS/plan"; }

# progress_begin: from here on steps may be planned, and a terminal shows below their lines what runs now and what is
# left. A script that another one started goes on with its plan.
progress_begin() {
  if [[ -n ${PROGRESS:-} ]]; then return; fi
  PROGRESS=$(mktemp -d)
  export PROGRESS
  touch "$PROGRESS"/{plan,done}
  if [[ -t 1 ]]; then tick & TICKER=$!; fi
  trap progress_end EXIT
}

progress_end() {
  if [[ -n ${TICKER:-} ]]; then kill "$TICKER" 2> /dev/null; wait "$TICKER" 2> /dev/null; printf '%s' "$CLEAR"; fi
  rm -rf "$PROGRESS"
  unset PROGRESS TICKER
  trap - EXIT
}

tick() {
  local began=$EPOCHREALTIME line columns
  while sleep 1; do
    columns=$(tput cols 2> /dev/null || echo 80)
    line="  $(duration "$(since "$began")"): $(cut -f1 "$PROGRESS"/running-* 2> /dev/null | paste -sd, | sed 's/,/, /g'); $(left)"
    printf '%s%s' "$CLEAR" "${line:0:columns-1}"
  done
}

# Takes the line of a terminal back on which the clock stands.
if [[ -t 1 ]]; then CLEAR=$'\r\033[K'; else CLEAR=; fi

# left: what the plan says of the steps that have not ended; nothing without a plan.
left() {
  [[ -s ${PROGRESS:-/nowhere}/plan ]] || return 0
  cat "$PROGRESS"/running-* 2> /dev/null | awk -F '\t' -v now="$EPOCHREALTIME" -v plan="$PROGRESS/plan" -v done_file="$PROGRESS/done" '
    { began[$1] = $2 }
    END {
      while ((getline line < done_file) > 0) over[line] = 1
      while ((getline line < plan) > 0) {
        split(line, field, "\t")
        if (field[2] in over) continue
        rest = field[4] - (field[2] in began ? now - began[field[2]] : 0)
        lane[field[1]] += rest > 0 ? rest : 0
      }
      both = lane["go"] > lane["rust"] ? lane["go"] : lane["rust"]
      seconds = lane["first"] + both + lane["last"]
      if (seconds < 45) exit
      printf "about %d min left (estimate)", seconds < 90 ? 1 : seconds / 60 + 0.5
    }'
}

estimate() {
  local seconds
  seconds=$(cat "$COMMITTED" "$RECORDED" 2> /dev/null | awk -F '\t' -v name="$1" -v class="$2" '$1 == name && $2 == class { s = $3 } END { print s }')
  echo "${seconds:-1}"
}

record() {
  local class
  class=$(awk -F '\t' -v name="$1" '$2 == name { print $3 }' "$PROGRESS/plan")
  [[ -n $class ]] || return 0
  {
    flock 7
    { awk -F '\t' -v name="$1" -v class="$class" '!($1 == name && $2 == class)' "$RECORDED" 2> /dev/null || true
      printf '%s\t%s\t%s\n' "$1" "$class" "$2"; } > "$RECORDED.next"
    mv "$RECORDED.next" "$RECORDED"
  } 7> "$RECORDED.lock"
}

# side_by_side FUNCTION FUNCTION: runs both at a time, where the memory allows; when one fails, the other one is ended.
side_by_side() {
  if (($(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo) < 6000)); then "$1"; "$2"; return; fi
  local first second over status=0
  set -m # a process group for each, which a signal reaches as a whole
  "$1" < /dev/null & first=$!
  "$2" < /dev/null & second=$!
  set +m
  # shellcheck disable=SC2064 # the values of now
  trap "kill -- -$first -$second 2> /dev/null; exit 130" INT TERM
  wait -n -p over "$first" "$second" || status=$?
  if ((status == 0)); then
    wait "$((over == first ? second : first))" || status=$?
  else
    kill -- "-$((over == first ? second : first))" 2> /dev/null || true
    wait
  fi
  trap - INT TERM
  return "$status"
}

log_of() { mkdir -p "$LOGS" && echo "$LOGS/${1//[^a-zA-Z0-9]/-}.log"; }

# since INSTANT: seconds from an $EPOCHREALTIME to now.
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# duration SECONDS: for people.
duration() { awk -v s="$1" 'BEGIN { if (s < 100) printf "%.1f s", s; else printf "%d min %02d s", s / 60, s % 60 }'; }
