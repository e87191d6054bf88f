/** What a token may be for. */
export const scopes = ["read", "bans:write", "policies:write", "admin"] as const;

export type Scope = (typeof scopes)[number];

/** Whether who holds `held` may do what needs `needed`: `admin` may do everything, and no other scope includes another. */
export function allows(held: readonly Scope[], needed: Scope): boolean {
  return held.includes(needed) || held.includes("admin");
}
