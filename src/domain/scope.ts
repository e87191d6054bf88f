/** What a token may be for. */
export const scopes = ["read", "bans:write", "policies:write", "admin"] as const;

export type Scope = (typeof scopes)[number];

/** Whether who holds `held` may do what needs `needed`: `admin` may do everything, and whoever may do anything may read. */
export function allows(held: readonly Scope[], needed: Scope): boolean {
  return needed === "read" ? held.length > 0 : held.includes(needed) || held.includes("admin");
}
