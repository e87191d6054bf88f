import { type Scope, scopes } from "../../domain/scope.ts";
import { compareTokens, type Token } from "../../domain/token.ts";
import { digestOf, integerOf, integerOrNullOf, jsonArrayOf, textOf } from "../row.ts";
import { defineTable } from "./table.ts";

export const tokensTable = defineTable({
  name: "tokens",
  key: ["name"],
  keyOf: (token: Token) => [token.name],
  encode: (token) => ({
    name: token.name,
    digest: token.digest,
    scopes: JSON.stringify(token.scopes),
    created_at: token.createdAt,
    expires_at: token.expiresAt,
  }),
  decode: (row) => ({
    name: textOf(row, "name"),
    digest: digestOf(row, "digest"),
    scopes: jsonArrayOf(row, "scopes", isScope),
    createdAt: integerOf(row, "created_at"),
    expiresAt: integerOrNullOf(row, "expires_at"),
  }),
  compare: compareTokens,
});

function isScope(value: unknown): value is Scope {
  return scopes.some((scope) => scope === value);
}
