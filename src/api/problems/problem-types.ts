/** A kind of problem as RFC 9457 means it; the service explains each at `/problems/<slug>`. */
export interface ProblemType {
  readonly status: number;
  readonly title: string;
  /** What it means, in full sentences. */
  readonly explanation: string;
  /** What the caller can do about it. */
  readonly remedies: readonly string[];
  /** A `detail` as it occurs in practice. */
  readonly example: string;
}

/** Every problem that the service answers with, by slug: the one table of statuses, titles and explanations. */
export const problemTypes = {
  "invalid-input": {
    status: 400,
    title: "The input is not acceptable",
    explanation:
      "A field of the body, a parameter of the path or query, or a header is missing, unknown, or not what it has to be. Input is strict: nothing is dropped or converted. Nothing was stored, and the kernel is as it was.",
    remedies: [
      "Read `errors`: each entry has a pointer to the field (a JSON pointer into the body, or the name of a parameter or header) and says what it takes.",
      "See /docs or /openapi.json for every field, its limits and its default.",
    ],
    example: "/ports/0: must be an integer from 1 to 65535.",
  },
  "malformed-json": {
    status: 400,
    title: "The body is not JSON",
    explanation: "The request needs a JSON body in UTF-8, and what came was empty or could not be parsed.",
    remedies: ["Check the quoting of the body in your shell.", "With curl, send a file: --data-binary @policy.json"],
    example: "The body is not valid JSON: Unexpected end of JSON input.",
  },
  "malformed-request": {
    status: 400,
    title: "The request is not well-formed HTTP",
    explanation:
      "The request line, the path or the headers break the rules of HTTP, so that the request could not be understood.",
    remedies: ["Percent-encode what is not allowed in a path: the slash of a network is written %2F.", "Send one Host header."],
    example: "The path is not validly percent-encoded.",
  },
  unauthorized: {
    status: 401,
    title: "A valid token is needed",
    explanation:
      "Over TCP every request carries a bearer token; only /livez, /readyz, /openapi.json and /docs need none. The token was missing, is not known (any more), or its time is over.",
    remedies: [
      'Send the header "Authorization: Bearer <token>"; the first token is in admin.token in the state directory (/var/lib/connlimitd).',
      "Make another token with POST /v1/tokens.",
      "On the host itself, use the unix socket: who can open it needs no token.",
    ],
    example: "A bearer token is needed: Authorization: Bearer <token>.",
  },
  forbidden: {
    status: 403,
    title: "The request is refused",
    explanation:
      "The request comes from a web page (it carries an Origin header), or it is for a Host that is not this service. The service is not for browsers: only its own page at /docs may be read by one. Nothing was changed.",
    remedies: [
      "Call the service with a program such as curl, without an Origin header.",
      "Call it by an address on which it listens, or add the name to CONNLIMITD_ALLOWED_HOSTS.",
    ],
    example: "Requests with an Origin header are refused.",
  },
  "insufficient-scope": {
    status: 403,
    title: "The token is not for this",
    explanation:
      "The token is good, but it lacks the scope that this needs; `detail` and the header WWW-Authenticate name it. read is for looking, bans:write for writing bans, policies:write for writing policies and for confirmations, and admin is for all of it, for tokens, for the audit and for allowLockout=true. Nothing was changed.",
    remedies: [
      "Use a token with the scope that is named: admin.token in the state directory, or the unix socket on the host itself, have all of them.",
      "Have an administrator make one with POST /v1/tokens.",
      "Send the write without allowLockout: it is needed only where somebody would be shut out.",
    ],
    example: "PUT /v1/policies/:name needs the scope policies:write, and the token has read.",
  },
  "not-found": {
    status: 404,
    title: "There is nothing here",
    explanation: "No route has this path, or no resource has this name or address.",
    remedies: [
      "Paths are exact: upper and lower case differ, and a trailing slash makes another path.",
      "Percent-encode the slash of a network in a path: /v1/bans/198.51.100.0%2F24",
      "GET /v1/bans/{address} is about exactly that address or network; ask GET /v1/bans?covers=ADDRESS for the networks that hold it.",
    ],
    example: "There is no policy with this name.",
  },
  "method-not-allowed": {
    status: 405,
    title: "The method does not apply here",
    explanation: "The path is known, but not with this method. The header Allow lists the methods that it takes.",
    remedies: ["Use one of the methods in the header Allow."],
    example: "DELETE does not apply to /v1/policies; it takes GET, HEAD, POST.",
  },
  "request-timeout": {
    status: 408,
    title: "The request took too long to arrive",
    explanation: "Headers have to arrive within 10 seconds and the whole request within 30 seconds.",
    remedies: ["Send the request in one go."],
    example: "The request did not arrive in time.",
  },
  "already-exists": {
    status: 409,
    title: "It exists already",
    explanation:
      "POST creates, and there is a policy or a token with this name, or an operator's ban on this address, already. Nothing was changed.",
    remedies: [
      "Use PUT, which creates or replaces.",
      "A token is never changed: remove it and make another, or take another name.",
    ],
    example: "There is a policy named mysql already.",
  },
  lockout: {
    status: 409,
    title: "This would lock somebody out",
    explanation:
      "The write would shut out the address from which it comes, somebody with an SSH connection to this host, a default gateway or an address of the host itself; or it bans a network wider than /8 (IPv4) or /16 (IPv6); or it reaches a protected network, such as loopback or what CONNLIMITD_PROTECT names. `detail` says who it is and how that was found. Nothing was changed.",
    remedies: [
      "Ban a narrower network that leaves them out.",
      "Of a policy, raise the limit, exempt the address, or begin with the mode observe and read GET /v1/policies/{name}/offenders.",
      "Look with ?dryRun=true whom the write would concern.",
      "Where it is meant, add ?allowLockout=true; that needs the scope admin. For a policy, add ?confirmWithin=60 too, so that it undoes itself when it has cut you off.",
      "Protected networks can't be overridden: change CONNLIMITD_PROTECT and restart the service, if the network should not be protected.",
    ],
    example:
      "A ban of 203.0.113.0/24 would shut out 203.0.113.7, from which this request comes. allowLockout=true goes on all the same, for callers with the scope admin.",
  },
  unconfirmed: {
    status: 409,
    title: "An earlier change waits for its confirmation",
    explanation:
      "The policy was changed with confirmWithin, and that change is neither confirmed nor undone yet: as long as it waits, nobody else changes the policy, so that undoing it undoes nothing else. Nothing was changed.",
    remedies: [
      "Keep the earlier change with POST /v1/confirmations/{id}, or undo it now with DELETE /v1/confirmations/{id}; `detail` has the id.",
      "Wait until it is undone by itself; GET /v1/confirmations says when.",
    ],
    example:
      "A change of the policy mysql by ci waits for its confirmation mWzwPp5dTLq0MrYQzzzzzw and is undone at 2026-11-22T08:01:00.000Z. Confirm it first (POST /v1/confirmations/mWzwPp5dTLq0MrYQzzzzzw), or undo it now (DELETE).",
  },
  gone: {
    status: 410,
    title: "It is too late",
    explanation:
      "The time to confirm the change is over, or somebody has undone it: what stood there before the change is back, or comes back within a second.",
    remedies: [
      "GET the policy to see what holds now.",
      "Make the change again, with a longer confirmWithin if there was not enough time to look.",
    ],
    example: "The change of the policy mysql was undone at 2026-11-22T08:01:00.000Z. Make it again to keep it.",
  },
  "precondition-failed": {
    status: 412,
    title: "The precondition does not hold",
    explanation:
      "If-Match names another version than the present one, or If-None-Match: * was sent and the resource exists. Nothing was changed.",
    remedies: ["GET the resource, look at what has changed, and send the write again with the new ETag."],
    example: "If-Match names another version: it was changed meanwhile. Read it again and decide anew.",
  },
  "payload-too-large": {
    status: 413,
    title: "The body is too large",
    explanation: "A body has at most 64 KiB, that of POST /v1/bans/batch 4 MiB.",
    remedies: ["A policy or a ban needs far less than a kilobyte: check what you send.", "Send a large batch in parts."],
    example: "The body is larger than 65536 bytes.",
  },
  "uri-too-long": {
    status: 414,
    title: "The path is too long",
    explanation: "A name or an address in the path is longer than any can be.",
    remedies: ["Check the path."],
    example: "A part of the path is longer than 1024 characters.",
  },
  "unsupported-media-type": {
    status: 415,
    title: "The body has another type than JSON",
    explanation:
      "Bodies are sent as application/json; PATCH also takes application/merge-patch+json. They are not compressed. (curl sends a form unless it is told otherwise.)",
    remedies: ['Send the header "Content-Type: application/json"; with curl: -H "Content-Type: application/json", or --json.'],
    example: 'The body has the type "application/x-www-form-urlencoded"; send application/json.',
  },
  "kernel-refused": {
    status: 422,
    title: "The kernel refuses it",
    explanation:
      "The request is valid, but netfilter on this host does not accept the rules that it leads to. Nothing was stored.",
    remedies: [
      "Read iptables' own message in `detail`.",
      "A message about a missing extension or module: load it (modprobe xt_connlimit xt_recent) or install it for the running kernel.",
    ],
    example: "iptables-restore: line 12 failed: Extension connlimit revision 0 not supported, missing kernel module?",
  },
  "network-unsupported": {
    status: 422,
    title: "This host cannot ban networks",
    explanation:
      "The kernel keeps bans of networks in an ipset, and the program ipset or its kernel module is missing here. Nothing was stored.",
    remedies: [
      "Install the program (apt install ipset, dnf install ipset) and load the module (modprobe ip_set_hash_net xt_set), then restart the service.",
      "Ban the addresses one by one.",
    ],
    example: "198.51.100.0/24 is a network, and networks need ipset, which is not installed.",
  },
  "too-many-failures": {
    status: 429,
    title: "Too many failed authentications",
    explanation:
      "More than ten requests of one minute came from your address (for IPv6, from its /64) with a token that is not good. Until the minute is over, such requests are answered with this and are not looked at any closer; requests with a good token are served all the same.",
    remedies: ["Use a good token: nothing has to be waited for then.", "Look for a program that still sends an old token."],
    example: "Too many failed authentications from this address; wait 42 seconds.",
  },
  "header-too-large": {
    status: 431,
    title: "The headers are too large",
    explanation: "The request line and the headers have at most 16 KiB together.",
    remedies: ["Send fewer or shorter headers."],
    example: "The headers are larger than 16 KiB.",
  },
  internal: {
    status: 500,
    title: "Something went wrong inside",
    explanation: "The service met an error that it did not expect. It is in the log, under the id in `instance`.",
    remedies: [
      "Look for the id in the log of the service: journalctl -u connlimitd",
      "Read the resource to see whether the write took place.",
    ],
    example: "The service met an unexpected error; its log has it under the id in instance.",
  },
  "not-ready": {
    status: 503,
    title: "The service is not ready",
    explanation: "The store is not open, or the kernel is not in step with it yet. The service keeps trying.",
    remedies: ["Try again after the seconds in the header Retry-After.", "GET /readyz says what it is waiting for."],
    example: "The kernel is not in step with the store yet.",
  },
  "store-unwritable": {
    status: 503,
    title: "Nothing can be stored now",
    explanation:
      "The disk does not take the change: it is full, read-only or broken. Nothing was stored, the kernel keeps the rules and bans that it has, and reading goes on. The service notices by itself within two seconds when the disk takes changes again.",
    remedies: [
      "Free space on the file system of the state directory (/var/lib/connlimitd), or make it writable again; `detail` names the file and the reason.",
      "Try again after the seconds in the header Retry-After.",
    ],
    example:
      "/var/lib/connlimitd/state.db can't be written: the disk is full; free some space on its file system (database or disk is full). Nothing was stored, and the kernel keeps what it has.",
  },
  overloaded: {
    status: 503,
    title: "The service has too much to do",
    explanation:
      "More is asked of the service at once than it can do: it is busy with earlier requests, its memory is nearly full, or all of its 256 connections are in use. Nothing was changed. The kernel goes on refusing whom it refused.",
    remedies: [
      "Try again after the seconds in the header Retry-After.",
      "Send many bans in one POST /v1/bans/batch instead of one by one, and large batches one after another.",
      "Use one connection for many requests (keep-alive), and close those that are not needed.",
    ],
    example: "The service is busy with earlier requests.",
  },
  "no-room": {
    status: 507,
    title: "The kernel has no room for another ban",
    explanation: "The lists of the kernel are full. Nothing was stored, and no other ban was evicted.",
    remedies: [
      "Remove bans that are no longer needed.",
      "Give bans an end (ttlSeconds), so that room comes back by itself.",
      "Ban a network instead of its addresses.",
      "Where ipset is missing, install it: an xt_recent list holds few addresses, and GET /v1/status says how many.",
    ],
    example: "The kernel's list holds 100 addresses and is full; remove a ban to make room.",
  },
} as const satisfies Record<string, ProblemType>;

export type ProblemSlug = keyof typeof problemTypes;

/** The `type` member of a problem document. */
export function problemUri(slug: ProblemSlug): string {
  return `/problems/${slug}`;
}

/** True for the slug of a known problem. */
export function isProblemSlug(text: string): text is ProblemSlug {
  return Object.hasOwn(problemTypes, text);
}
