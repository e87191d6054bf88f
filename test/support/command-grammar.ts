// What this service may say to programs and to proc files, all of it: nothing that is not here may ever leave it.
import type { Invocation } from "./simulated-iptables.ts";

const anyOf = (...parts: readonly string[]): string => `(?:${parts.join("|")})`;

const octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const ipv4 = `${octet}(?:\\.${octet}){3}`;
const ipv6 = "(?=[0-9a-f:]*:[0-9a-f:]*:)[0-9a-f:]{2,39}";
const address = anyOf(ipv4, ipv6);
const network = anyOf(`${ipv4}(?:/(?:3[0-2]|[12]?[0-9]))?`, `${ipv6}(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?`);
const port = "[1-9][0-9]{0,4}";
const from = "(?:0|[1-9][0-9]{0,4})";
const prefix = "[1-9][0-9]{0,2}";
const number = "(?:0|[1-9][0-9]{0,9})";
const policy = "[a-z][a-z0-9-]{0,19}";
const list = "cld[46]-[a-z0-9-]{1,60}";
const set = "cld[46]-[a-z0-9-]{1,26}";
const chain = `CLD-${anyOf("INPUT", "REFUSE", "CANARY", "PORTS", "B-[0-9a-f]{12}", `NEW(?:-${from}(?:-${from})?)?`, `[PO]-${policy}`)}`;

const match = anyOf(
  `-s ${network}`,
  "-p (?:tcp|ipv6-icmp)",
  `(?:-m tcp )?--dport ${from}(?::${port})?`,
  "(?:-m tcp )?--tcp-flags FIN,SYN,RST,ACK SYN",
  "-m icmp6 --icmpv6-type 13[0-9]",
  `-m recent --(?:rcheck|update|set)(?: --seconds ${number})? --name ${list} --mask ${address} --rsource`,
  `-m set --match-set ${set} src`,
  `-m connlimit --connlimit-above ${number} --connlimit-mask ${prefix} --connlimit-saddr`,
);
const target = anyOf(
  `-[jg] ${chain}`,
  "-j (?:RETURN|DROP)",
  "-j REJECT --reject-with (?:tcp-reset|icmp-port-unreachable|icmp6-port-unreachable)",
  `-j SET --add-set ${set} src --exist --timeout ${number}`,
);
const comment = '-m comment --comment "cld:[0-9a-f]{12}"';
const rule = `(?:${match} )*${comment}(?: ${target})?`;

const restoreLine = anyOf(
  "\\*filter",
  "COMMIT",
  `:${chain} - \\[0:0\\]`,
  `-A ${chain} ${rule}`,
  `-I ${chain} ${prefix} ${rule}`,
  `-D ${chain} ${prefix}`,
  `-[FX] ${chain}`,
  `-I INPUT 1 ${comment} -j CLD-INPUT`,
  `-D INPUT ${comment} -j CLD-INPUT`,
);
const setLine = anyOf(
  `create ${set} hash:(?:net|ip) family inet6?(?: netmask ${prefix})?(?: hashsize ${number} maxelem ${number})? timeout 0`,
  `add ${set} ${network} timeout ${number}`,
  `add ${set} ${network}`,
  `del ${set} ${network}`,
  `(?:flush|destroy) ${set}`,
  "COMMIT",
  "list -name cld4-operator",
);
/** Of a program that reads on: it also lists the rules, and tells how far it is. */
const sessionLine = anyOf(
  restoreLine,
  `-S(?: ${anyOf(chain, "INPUT")})?`,
  "# cld [0-9a-f]{16}(?: raw| mangle)?",
  "#-+",
  "[*](?:raw|mangle)",
);
const severed = `dst (?:${ipv4}|\\[${ipv6}\\])`;

/** Bytes, a character each: `IPCTNL_MSG_CT_GET` for the TCP connections of one IPv4 address, which may be any. */
const dumpRequest = [
  "\\x44\\0\\0\\0\\x01\\x01\\x01\\x03[^]{4}\\0\\0\\0\\0\\x02\\0\\0\\0",
  "\\x1c\\0\\x01\\x80\\x0c\\0\\x01\\x80\\x08\\0\\x01\\0[^]{4}\\x0c\\0\\x02\\x80\\x05\\0\\x01\\0\\x06\\0\\0\\0",
  "\\x14\\0\\x19\\x80\\x08\\0\\x01\\0\\x09\\0\\0\\0\\x08\\0\\x02\\0\\0\\0\\0\\0",
].join("");

/** The arguments that a program is given, one pattern each, and the lines of its input, or all of this where it has none. */
interface Sentence {
  readonly program: string;
  readonly args: readonly string[];
  readonly line?: string;
  readonly input?: string;
}

const sentences: readonly Sentence[] = [
  { program: "ip6?tables", args: ["--version"] },
  { program: "ip6?tables-(?:nft|legacy)-(?:save|restore)", args: ["--version"] },
  { program: "ip6?tables-(?:nft|legacy)-save", args: [] },
  { program: "ip6?tables-(?:nft|legacy)-save", args: ["-t", "filter"] },
  { program: "ip6?tables-(?:nft|legacy)-restore", args: ["--noflush", "-w", "1"], line: restoreLine },
  { program: "ip6?tables-(?:nft|legacy)-restore", args: ["--noflush", "-w", "1", "--test"], line: restoreLine },
  { program: "ip6?tables-(?:nft|legacy)-restore", args: ["--noflush", "-w", "60", "-v"], line: sessionLine },
  { program: "ip6?tables-(?:nft|legacy)-restore", args: ["--noflush", "-w", "60", "-v", "--test"], line: sessionLine },
  { program: "ipset", args: ["save"] },
  { program: "ipset", args: ["-"], line: anyOf("save", "list -terse", "version", "help") },
  { program: "ipset", args: ["list", "-(?:n|terse)"] },
  { program: "ipset", args: ["destroy", set] },
  { program: "ipset", args: ["restore", "-exist"], line: setLine },
  { program: "ss", args: ["-K", "-t", "-H", `${severed}(?: or ${severed}){0,99}`] },
  { program: "conntrack", args: ["-D", "-s", address, "-r", address] },
  { program: "socat", args: ["-b", "65536", "STDIO", "SOCKET-SENDTO:16:3:12:x0{20}"], input: dumpRequest },
];

const whole = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`);

const compiled = sentences.map(({ program, args, line, input }) => ({
  program: whole(program),
  args: args.map(whole),
  line: line === undefined ? null : whole(line),
  input: input === undefined ? null : whole(input),
}));
const listWrite = whole(`${list} [+-]${address}`);

/** What of a run of a program is not in the grammar; undefined when all of it is. */
export function commandFault({ file, args, input }: Invocation): string | undefined {
  const sentence = compiled.find(
    (one) => one.program.test(file) && one.args.length === args.length && one.args.every((each, at) => each.test(args[at] ?? "")),
  );
  if (sentence === undefined) return JSON.stringify([file, ...args]);
  if (sentence.input !== null) return sentence.input.test(input ?? "") ? undefined : `${file}: ${JSON.stringify(input)}`;
  if (sentence.line === null) return input === undefined ? undefined : `${file} reads nothing: ${JSON.stringify(input)}`;
  const lines = (input ?? "").split("\n");
  if (lines.pop() !== "") return `${file}: the last line has no end`;
  const { line } = sentence;
  const fault = lines.find((text) => !line.test(text));
  return fault === undefined ? undefined : `${file}: ${JSON.stringify(fault)}`;
}

/** The same for a write to a proc file: `LIST COMMAND`. */
export function listWriteFault(write: string): string | undefined {
  return listWrite.test(write) ? undefined : JSON.stringify(write);
}
