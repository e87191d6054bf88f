import { generateKeyPairSync, sign } from "node:crypto";
import { isIPv6 } from "node:net";

/** A certificate and its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Tags of DER (X.690). */
const tags = { integer: 0x02, bits: 0x03, octets: 0x04, object: 0x06, utf8: 0x0c, utcTime: 0x17, sequence: 0x30, set: 0x31 };
const objects = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  commonName: [0x55, 0x04, 0x03],
  subjectAltName: [0x55, 0x1d, 0x11],
};

/** A self-signed certificate for these addresses (RFC 5280), good from yesterday until tomorrow; needs no other program. */
export function createCertificate(addresses: readonly string[]): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(der(tags.object, Buffer.from(objects.ecdsaWithSha256)));
  const name = sequence(
    der(tags.set, sequence(der(tags.object, Buffer.from(objects.commonName)), der(tags.utf8, Buffer.from("connlimitd test")))),
  );
  // An address in a GeneralName has the context's tag 7.
  const alternatives = sequence(...addresses.map((address) => der(0x87, bytesOf(address))));
  const extension = sequence(der(tags.object, Buffer.from(objects.subjectAltName)), der(tags.octets, alternatives));
  const day = 86_400_000;
  const content = sequence(
    der(0xa0, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, Buffer.from([1])),
    algorithm,
    name,
    sequence(utcTime(Date.now() - day), utcTime(Date.now() + day)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(extension)),
  );
  const signature = sign("sha256", content, privateKey);
  const whole = sequence(content, algorithm, der(tags.bits, Buffer.from([0]), signature));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    cert: ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n"),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), body]);
  return Buffer.concat([Buffer.from([tag, 0x82, length >> 8, length & 0xff]), body]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(tags.sequence, ...parts);
}

function utcTime(time: number): Buffer {
  const text = new Date(time).toISOString().replace(/^\d\d|[-:T]|\.\d+/g, "");
  return der(tags.utcTime, Buffer.from(text));
}

/** IPv6 with at most one `::`, and nothing of IPv4 in it. */
function bytesOf(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split(".").map(Number));
  const [head = [], tail] = address.split("::").map((part) => part.split(":").filter(Boolean));
  const missing = 8 - head.length - (tail?.length ?? 0);
  const groups = tail === undefined ? head : [...head, ...Array.from({ length: missing }, () => "0"), ...tail];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}
