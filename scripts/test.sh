#!/bin/sh
# Runs every test: the kernel tests side by side, as they mostly wait, and all others beside them in one process of their own.
# What fails there is run once more by itself: the promises about time hold on a machine that has CPU to spare.
# The compile cache spares the many short-lived processes the work of stripping types.
set -u
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
export NODE_COMPILE_CACHE="$PWD/node_modules/.cache/connlimitd-test"

report=$(mktemp)
failed=$(mktemp)
others=
end() {
  [ -z "$others" ] || kill "$others" 2>/dev/null
  rm -f "$report" "$failed"
}
trap end EXIT
trap 'exit 130' INT TERM

# shellcheck disable=SC2046 # no file's name holds a space
node --test --test-isolation=none --test-reporter=spec \
  $(find test -name '*.test.ts' -not -path 'test/kernel/*' | sort) >"$report" 2>&1 </dev/null &
others=$!
node --test --test-concurrency=3 --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=./scripts/failed-files.ts --test-reporter-destination="$failed" "${1:-test/kernel/**/*.test.ts}"
kernel_status=$?
wait "$others"
others_status=$?
others=
cat "$report"
if [ "$kernel_status" -ne 0 ] && [ -s "$failed" ]; then
  echo "once more, with the machine to themselves:" && cat "$failed"
  # shellcheck disable=SC2046 # as above
  node --test --test-concurrency=1 --test-reporter=spec $(sort -u "$failed" | grep '\.test\.ts$')
  kernel_status=$?
fi
[ "$kernel_status" -eq 0 ] && [ "$others_status" -eq 0 ]
