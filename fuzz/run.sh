#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./dev fuzz [NAME] [SECONDS]: runs each fuzz target (or NAME) for SECONDS (10), from seeds made here and what earlier
# runs found (build/fuzz/corpus).  Ends with "N passed, N failed".
set -euo pipefail
dir=${GORT_BUILD_DIR:?./dev fuzz sets it}
seconds=10
name=
for arg in "$@"; do
  case $arg in
    *[!0-9]*) name=$arg ;;
    *) seconds=$arg ;;
  esac
done

# Seeds: small objects with symbols, lines, inlined calls and unwind entries; a few symbols.
seed() {
  local elf=$dir/corpus/symfile names=$dir/corpus/names
  mkdir -p "$elf" "$names" "$dir/corpus/cfi"
  printf 'static inline int g(int x) { return x * 3; }\nint f(int x) { return g(x) + g(x + 1); }\n' >"$dir/seed.c"
  local v
  for v in 4 5; do
    gcc -O1 "-gdwarf-$v" -c "$dir/seed.c" -o "$elf/seed$v.o"
    gcc -O1 "-gdwarf-$v" -shared -nostdlib -Wl,-z,max-page-size=4096 "$dir/seed.c" -o "$elf/seed$v.so"
  done
  printf 'x_ZN4gort2rt5chans4sendI3fooIiEEEvPT_RKSs' >"$names/1"
  printf '@_ZZN1a1bEvENKUlvE_clEv.constprop.0' >"$names/2"
  printf '\x08\x10\x22\x06' >"$dir/corpus/cfi/1"
}
seed

# The tables of the readers live as long as the process, so a long run is many processes; the corpus goes on.
slices() {  # slices PROGRAM TARGET
  local left=$seconds slice
  while [ "$left" -gt 0 ]; do
    slice=$((left < 10 ? left : 10))
    left=$((left - slice))
    "$1" -max_total_time="$slice" -timeout=5 -rss_limit_mb=4096 -print_final_stats=0 -verbosity=0 \
      -artifact_prefix="$dir/found/$2-" "$dir/corpus/$2" || return 1
  done
}

passed=0
failed=0
for program in "$dir"/fuzz_*; do
  [ -x "$program" ] || continue
  target=${program##*/fuzz_}
  [ -z "$name" ] || [ "$name" = "$target" ] || continue
  mkdir -p "$dir/corpus/$target" "$dir/found"
  if slices "$program" "$target" >"$dir/$target.log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    tail -40 "$dir/$target.log"
  fi
  echo "fuzz: $target: $(ls "$dir/corpus/$target" | wc -l) inputs in the corpus"
done
if [ $((passed + failed)) -eq 0 ]; then
  echo "fuzz: no target '$name'; there are: $(ls "$dir" | sed -n 's/^fuzz_//p' | tr '\n' ' ')" >&2
  exit 1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
