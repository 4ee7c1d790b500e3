#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The guided tour: runs each example, shows its output, and checks what it claims. ./dev run builds and starts it.
# Exit status: 0 if every check held.
set -uo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=${GORT_BUILD_DIR:-$HERE/../../build/release}/examples/tour
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
unset GODEBUG GOMAXPROCS GOTRACEBACK
export LC_ALL=C
FAILED=0 CHECKS=0 STOP=0

bold() { if [ -t 1 ]; then printf '\033[1m%s\033[0m\n' "$*"; else printf '%s\n' "$*"; fi; }

stop() {  # stop TITLE FILE TEXT: one stop of the tour
  STOP=$((STOP + 1))
  printf '\n'
  bold "== $STOP. $1"
  local file=tour/$2
  printf '   %s\n' "examples/${file#tour/../}"
  printf '%s\n\n' "$3" | fold -s -w 100 | sed 's/^/   /'
}

check() {  # check WHAT COMMAND...: says whether the command succeeds
  local what=$1
  shift
  CHECKS=$((CHECKS + 1))
  if "$@" >/dev/null 2>"$TMP/why"; then
    printf '   [ok]   %s\n' "$what"
  else
    printf '   [FAIL] %s\n' "$what"
    sed 's/^/          /' "$TMP/why" | head -5
    FAILED=$((FAILED + 1))
  fi
}

show() { sed 's/^/   | /' "$1"; }
excerpt() {  # excerpt FILE LINES: the beginning of a long text
  head -n "$2" "$1" | sed 's/^/   | /'
  local rest=$(($(wc -l <"$1") - $2))
  if [ "$rest" -gt 0 ]; then printf '   | ... %d more lines\n' "$rest"; fi
}
run() {  # run NAME ARGS...: output to $TMP/out and $TMP/err, status to $STATUS
  local name=$1
  shift
  timeout 30 "$BIN/$name" "$@" >"$TMP/out" 2>"$TMP/err"
  STATUS=$?
}
has() { grep -Eq -- "$2" "$1"; }

[ -x "$BIN/search" ] || {
  echo "tour: $BIN/search is not there; ./dev build makes it" >&2
  exit 1
}

bold "Gort: goroutines, channels and select for C++. A tour in seven stops."

# ---------------------------------------------------------------- 1
ROOT=/usr/include WORD=struct
[ -d $ROOT ] || ROOT=$HERE/../..
stop "A concurrent search over a directory tree" search.cpp \
  "A walker sends file names into a channel, workers count the lines that contain a word, main puts the results back \
into the walker's order. Searching $ROOT for \"$WORD\"; grep does the same for comparison."
run search $ROOT $WORD 30000
{ head -n 4 "$TMP/out" && echo "..." && tail -n 1 "$TMP/out"; } >"$TMP/brief"
show "$TMP/brief"
head -n -1 "$TMP/out" >"$TMP/ours"
grep -rscaF -- $WORD $ROOT | grep -v ':0$' >"$TMP/grep"
sort "$TMP/ours" >"$TMP/ours.sorted"
sort "$TMP/grep" >"$TMP/grep.sorted"
check "exit status 0" test $STATUS -eq 0
check "same files and counts as grep -c ($(wc -l <"$TMP/grep") files)" cmp "$TMP/ours.sorted" "$TMP/grep.sorted"
sum=$(awk -F: '{ s += $NF } END { print s + 0 }' "$TMP/grep")
check "same total as grep -c ($sum lines)" has "$TMP/out" " $sum matching lines\$"
run search /usr $WORD 10
show "$TMP/err"
check "over /usr, with 10 ms to live, the context ends everything: status 1" test $STATUS -eq 1
check "... and says why" has "$TMP/err" '^search: .*deadline exceeded'

# ---------------------------------------------------------------- 2
stop "A pipeline with select and time-outs" pipeline.cpp \
  "Two sensors, one select with four cases, a slow archive behind a queue, an alarm when nothing is heard."
run pipeline
show "$TMP/out"
check "every reading archived, one alarm" has "$TMP/out" '^archived 8 of 8 readings, 1 alarm$'
printf '\n   Again in virtual time, under a seed (GODEBUG=sim=7), three times:\n'
sim_again() {
  local i begin end
  begin=$(date +%s%N)
  for i in 1 2 3; do GODEBUG=sim=7 timeout 20 "$BIN/pipeline" >"$TMP/sim.$i" || return 1; done
  end=$(date +%s%N)
  SIM_MS=$(((end - begin) / 1000000))
  has "$TMP/sim.1" '^archived 8 of 8 readings, 1 alarm$'
}
check "the same program, the same result" sim_again
check "three equal outputs, byte for byte" cmp "$TMP/sim.1" "$TMP/sim.2"
check "... and the third" cmp "$TMP/sim.1" "$TMP/sim.3"
check "no waiting: three runs of 0.9 virtual seconds each took ${SIM_MS:-?} ms" test "${SIM_MS:-99999}" -lt 1000

# ---------------------------------------------------------------- 3
stop "A recovered panic" recovered_panic.cpp \
  "Deferred functions run, destructors run, the request fails, the process lives."
run recovered_panic
show "$TMP/out"
check "exit status 0" test $STATUS -eq 0
check "the other requests were served" has "$TMP/out" '^3 requests served, 1 failed, the process lives$'

# ---------------------------------------------------------------- 4
stop "A deadlock, reported" deadlock.cpp \
  "Two locks in opposite orders. The child process ends with the reason, and with every goroutine: its name, what it waits \
for, where it stands, where it was started."
run deadlock
excerpt "$TMP/err" 30
check "Go's words" has "$TMP/err" '^fatal error: all goroutines are asleep - deadlock!$'
check "the culprits by name and reason" has "$TMP/err" '\[sync\.Mutex\.Lock\] \{name: left first\}:$'
check "with file and line" has "$TMP/err" 'deadlock\.cpp:[0-9]+'
check "exit status 2" test $STATUS -eq 2

# ---------------------------------------------------------------- 5
stop "Gort as a library in a foreign program" library.cpp \
  "An ordinary main with its own std::threads and no boot call; they share channels, locks and a semaphore with goroutines."
run library
show "$TMP/out"
check "exit status 0" test $STATUS -eq 0
check "threads and goroutines met on a channel" has "$TMP/out" 'sum 5050$'
check "shutdown waited for the rest" has "$TMP/out" '^shutdown: clean$'

# ---------------------------------------------------------------- 6
stop "A goroutine dump of a running program" dump.cpp \
  "Every goroutine with its state and stack, while the program goes on. Ctrl-\\ gives the same."
run dump
excerpt "$TMP/out" 40
check "dispatcher waits in select" has "$TMP/out" '\[select\] \{name: dispatcher\}:$'
check "heartbeat sleeps" has "$TMP/out" '\[sleep\] \{name: heartbeat\}:$'
check "the program went on" has "$TMP/out" '^and the program goes on: 3$'
check "exit status 0" test $STATUS -eq 0

# ---------------------------------------------------------------- 7
stop "A web server under load" ../http_server.cpp \
  "HTTP/1.1: Beast over gort::net, one goroutine per connection. Three curl processes open up to 120 connections at once; \
meanwhile the server is asked for its own goroutines. Then its context ends while a request is under way."
web() { curl --noproxy '*' -sS --max-time 30 "$@"; }
load() {  # load N: 400 requests by one curl process; status codes and bodies go to files
  web --parallel --parallel-immediate --parallel-max 40 -w '%{http_code}\n' -o "$TMP/body.$1.#1" \
    "http://$WHERE/hello/$1-[1-320]" -o "$TMP/slow.$1.#1" "http://$WHERE/slow/100?[1-80]" >"$TMP/codes.$1" 2>"$TMP/curl.$1"
}
right_bodies() {  # every answer belongs to its request
  local n k
  for n in 1 2 3; do
    for k in $(seq 320); do [ "$(cat "$TMP/body.$n.$k")" = "hello $n-$k" ] || return 1; done
  done
}
timeout 60 "$BIN/../http_server" 127.0.0.1:0 40 >"$TMP/server" 2>"$TMP/server.err" &
SERVER=$!
for _ in $(seq 100); do has "$TMP/server" '^listening' && break || sleep 0.05; done
WHERE=$(sed -n 's/^listening on //p' "$TMP/server")
LOADS=()
for n in 1 2 3; do
  load $n &
  LOADS+=($!)
done
DUMPS=0 SERVING=0
while [ $DUMPS -lt 300 ] && kill -0 "${LOADS[@]}" 2>/dev/null; do  # until many are seen in their handlers, or a load is over
  web "http://$WHERE/goroutines" >"$TMP/dump.now" || break
  DUMPS=$((DUMPS + 1))
  seen=$(grep -c '\[sleep.*{name: http ' "$TMP/dump.now")
  if [ "$seen" -ge $SERVING ]; then SERVING=$seen && mv "$TMP/dump.now" "$TMP/dump"; fi
  [ $SERVING -lt 40 ] || break
done
LOADS_OK=0
for pid in "${LOADS[@]}"; do wait "$pid" && LOADS_OK=$((LOADS_OK + 1)); done
printf '   | %s\n' "the last of $DUMPS dumps under load, by what the goroutines of connections do:"
sed -n 's/^goroutine [0-9]* \(\[[^],]*\).*\({name: http\) .*/\1] \2 ...}/p' "$TMP/dump" | sort | uniq -c | sort -rn | sed 's/^/   | /'
awk '/^goroutine .*\[sleep.*{name: http /, /^$/' "$TMP/dump" | sed '/^$/q' | head -n 8 | sed 's/^/   | /'
check "all three clients succeeded" test $LOADS_OK -eq 3
check "1200 requests, 1200 times 200" test "$(cat "$TMP"/codes.? | sort | uniq -c | tr -s ' ')" = " 1200 200"
check "... and every answer belongs to its request" right_bodies
check "the dump shows requests being served at once: $SERVING in their handlers" test $SERVING -ge 20
check "... each goroutine by the name of its connection, in its place" has "$TMP/dump" 'http_example::http_server::session::run'
web "http://$WHERE/slow/700" >"$TMP/last" &
LAST=$!
for _ in $(seq 100); do  # until it is seen waiting in its handler
  DUMPS=$((DUMPS + 1))
  web "http://$WHERE/goroutines" | grep -q '\[sleep.*{name: http ' && break
done
web -d '' "http://$WHERE/shutdown" | sed 's/^/   | /'
wait $LAST
wait $SERVER
STATUS=$?
tail -n 1 "$TMP/server" >"$TMP/brief"
show "$TMP/brief"
check "the request under way at the shutdown was answered" has "$TMP/last" '^slept 700 ms$'
gone() { ! web "http://$WHERE/"; }
check "nobody listens any more" gone
check "the server counted 1200, $DUMPS dumps and the last two" has "$TMP/brief" "^$((1200 + DUMPS + 2)) requests over [0-9]+ connections\$"
check "exit status 0" test $STATUS -eq 0

printf '\n'
if [ $FAILED -eq 0 ]; then
  bold "The tour is over: all $CHECKS checks held."
  echo "Next: README.md, docs/tutorial/, and ./dev run YOUR_FILE.cpp"
else
  bold "$FAILED of $CHECKS checks failed."
  exit 1
fi
