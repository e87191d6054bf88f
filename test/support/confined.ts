/**
 * A command line that runs another one, after the path of a directory that stays writable, in the bounds that deploy/connlimitd.service and
 * `docker run --read-only --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW` set: no other capability, nothing else to write to, and /proc as
 * `ProtectProc=invisible` and `ProtectKernelTunables=yes` make it. Of the system call filter nothing is here.
 */
export function confined(capabilities: readonly string[]): readonly string[] {
  const bounding = ["-all", ...capabilities.map((name) => `+${name}`)].join(",");
  return ["unshare", "--mount", "sh", "-euc", script, bounding];
}

/** `$0` is the bounding set, `$1` the directory. */
const script = `
  mount --bind "$1" "$1"
  mount -t tmpfs tmpfs /run
  : >/run/xtables.lock
  chmod 600 /run/xtables.lock
  mount --bind /run/xtables.lock /run/xtables.lock
  mount -t proc -o hidepid=invisible proc /proc
  mount --bind /proc/sys /proc/sys
  for path in /proc/sys /sys /run /; do mount -o remount,bind,ro "$path"; done
  shift
  exec setpriv --bounding-set="$0" --inh-caps=-all --no-new-privs -- "$@"`;
