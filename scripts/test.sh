#!/bin/sh
# Runs every test: the kernel tests side by side, as they mostly wait, and all others beside them in one process of their own. Those that
# promise times for thousands of sources or under a held lock come last, with the machine to themselves. What fails is run once more by
# itself: the promises about time hold on a machine that has CPU to spare.
# The compile cache spares the many short-lived processes the work of stripping types.
set -u
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
export NODE_COMPILE_CACHE="$PWD/node_modules/.cache/connlimitd-test"

report=$(mktemp)
failed=$(mktemp)
others=
kernel=
end() {
  [ -z "$others" ] || kill "$others" 2>/dev/null
  # It ends when its processes have removed their namespaces.
  [ -z "$kernel" ] || { kill "$kernel" 2>/dev/null && wait "$kernel"; }
  rm -f "$report" "$failed"
}
trap end EXIT
trap 'exit 130' INT TERM

kernel_files() { find test/kernel -name '*.test.ts' | sort | grep "$@"; }
alone='/(botnet|capacity|held-lock)\.test\.ts$'
# The number of files at a time, and the files.
run_kernel_tests() {
  at_once=$1 && shift
  # A shell hears no signal while it runs a program, but while it waits for one.
  node scripts/kernel-tests.ts "$at_once" "$failed" "$@" &
  kernel=$!
  wait "$kernel"
  status=$?
  kernel=
  case $status in 0) ;; 3) some_failed=1 ;; *) broken=1 ;; esac
}

# Where there is room, files of tests that need no kernel are kept in memory: their hundreds of databases would wait for a disk.
# They have the time that the kernel tests leave: these promise times, and wait now and then to the end.
# One process that runs them all is better off with much memory at a time than with many faults of pages, which are dear on virtual machines.
fast=${TMPDIR:-/tmp}
room=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ "${room:-0}" -gt 1000000 ] && probe=$(mktemp /dev/shm/connlimitd-test.XXXXXX); then
  # Tests also put programs there.
  chmod 755 "$probe" && printf '#!/bin/sh\n' >"$probe" && "$probe" 2>/dev/null && fast=/dev/shm
  rm -f "$probe"
fi

# shellcheck disable=SC2046 # no file's name holds a space
TMPDIR=$fast GLIBC_TUNABLES=glibc.malloc.hugetlb=1 nice -n 5 node --min-semi-space-size=16 --max-semi-space-size=32 --test --test-isolation=none --test-reporter=spec \
  $(find test -name '*.test.ts' -not -path 'test/kernel/*' | sort) >"$report" 2>&1 </dev/null &
others=$!
some_failed=
broken=
# shellcheck disable=SC2046 # as above
run_kernel_tests 5 $(kernel_files -vE "$alone")
wait "$others"
others_status=$?
others=
cat "$report"
# shellcheck disable=SC2046 # as above
run_kernel_tests 1 $(kernel_files -E "$alone")
# A failure that belongs to no file of tests is not mended by running one again.
if grep -qv '\.test\.ts$' "$failed"; then broken=1; fi
again=$(sort -u "$failed" | grep '\.test\.ts$')
if [ -n "$again" ]; then
  printf 'once more, with the machine to themselves:\n%s\n' "$again"
  some_failed=
  # shellcheck disable=SC2086 # as above
  run_kernel_tests 1 $again
fi
[ -z "$some_failed$broken" ] && [ "$others_status" -eq 0 ]
