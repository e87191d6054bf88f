#!/bin/sh
# Runs every test: the kernel tests side by side, as they mostly wait, and all others beside them in one process of their own.
# The compile cache spares the many short-lived processes the work of stripping types.
set -u
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
export NODE_COMPILE_CACHE="$PWD/node_modules/.cache/connlimitd-test"

report=$(mktemp)
others=
end() {
  [ -z "$others" ] || kill "$others" 2>/dev/null
  rm -f "$report"
}
trap end EXIT
trap 'exit 130' INT TERM

# shellcheck disable=SC2046 # no file's name holds a space
node --test --test-isolation=none --test-reporter=spec \
  $(find test -name '*.test.ts' -not -path 'test/kernel/*' | sort) >"$report" 2>&1 </dev/null &
others=$!
node --test --test-reporter=spec --test-concurrency=3 'test/kernel/**/*.test.ts'
kernel_status=$?
wait "$others"
others_status=$?
others=
cat "$report"
[ "$kernel_status" -eq 0 ] && [ "$others_status" -eq 0 ]
