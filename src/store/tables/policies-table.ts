import { comparePolicies, type Policy, type PolicyBan } from "../../domain/policy.ts";
import { choiceOf, integerOf, integerOrNullOf, jsonArrayOf, type Row, textOf } from "../row.ts";
import { defineTable } from "./table.ts";

export const policiesTable = defineTable({
  name: "policies",
  key: ["name"],
  keyOf: (policy: Policy) => [policy.name],
  encode: (policy) => ({
    name: policy.name,
    description: policy.description,
    protocol: policy.protocol,
    ports: JSON.stringify(policy.ports),
    max_connections: policy.maxConnections,
    count_ipv4_prefix: policy.countPer.ipv4Prefix,
    count_ipv6_prefix: policy.countPer.ipv6Prefix,
    ban_seconds: policy.ban?.seconds ?? null,
    ban_scope: policy.ban?.scope ?? null,
    ban_renew_on_attempt: policy.ban === null ? null : Number(policy.ban.renewOnAttempt),
    reject_with: policy.rejectWith,
    exempt: JSON.stringify(policy.exempt),
    mode: policy.mode,
    revision: policy.revision,
    created_at: policy.createdAt,
    updated_at: policy.updatedAt,
  }),
  decode: (row) => ({
    name: textOf(row, "name"),
    description: textOf(row, "description"),
    protocol: choiceOf(row, "protocol", ["tcp"]),
    ports: jsonArrayOf(row, "ports", (port) => typeof port === "number"),
    maxConnections: integerOf(row, "max_connections"),
    countPer: { ipv4Prefix: integerOf(row, "count_ipv4_prefix"), ipv6Prefix: integerOf(row, "count_ipv6_prefix") },
    ban: decodeBan(row),
    rejectWith: choiceOf(row, "reject_with", ["tcp-reset", "icmp-port-unreachable", "drop"]),
    exempt: jsonArrayOf(row, "exempt", (network) => typeof network === "string"),
    mode: choiceOf(row, "mode", ["enforce", "observe", "off"]),
    revision: integerOf(row, "revision"),
    createdAt: integerOf(row, "created_at"),
    updatedAt: integerOf(row, "updated_at"),
  }),
  compare: comparePolicies,
});

function decodeBan(row: Row): PolicyBan | null {
  const seconds = integerOrNullOf(row, "ban_seconds");
  if (seconds === null) return null;
  return {
    seconds,
    scope: choiceOf(row, "ban_scope", ["host", "ports"]),
    renewOnAttempt: integerOf(row, "ban_renew_on_attempt") === 1,
  };
}
