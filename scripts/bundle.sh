#!/bin/sh
# Bundles the service into dist/ unless that was made of these very sources: their contents are compared, as their times can be anything.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

sources() { find src package.json package-lock.json scripts/boot scripts/build.ts -type f -exec sha256sum {} + | LC_ALL=C sort; }
is_current() { [ -e dist/sources ] && [ "$(cat dist/sources)" = "$(sources)" ]; }

if is_current; then exit 0; fi
# One at a time: a start and a test run may both come first. The lock ends with this script.
if command -v flock >/dev/null; then
  exec 9<package-lock.json
  flock 9
fi
if ! is_current; then
  made_of=$(sources)
  made=$(mktemp -d "$PWD/dist.XXXXXX")
  trap 'rm -rf "$made"' EXIT
  node scripts/build.ts "$made"
  printf '%s\n' "$made_of" >"$made/sources"
  chmod 755 "$made"
  # A start never finds half a bundle, and hardly ever none.
  if [ -e dist ]; then mv dist "$made.old"; fi
  mv "$made" dist
  rm -rf "$made.old"
fi
