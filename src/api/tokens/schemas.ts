import { type Scope, scopes as scopeNames } from "../../domain/scope.ts";
import { inputTime, nullable, outputTime, reference, strictObject, tokenName } from "../fields.ts";
import { foresightOf } from "../foresight/schemas.ts";
import { Type } from "../schema-type.ts";

const name = tokenName("Its name, which is the actor of what is done with it. `admin`, `socket` and `service` are taken.");
const scope = Type.Enum([...scopeNames], { type: "string" });
const scopes = Type.Array(scope, {
  minItems: 1,
  maxItems: scopeNames.length,
  uniqueItems: true,
  description:
    "What it may do. `read`: look at all that is not the administrators'; `bans:write`: write bans; `policies:write`: write policies, confirm and undo changes; `admin`: all of it, tokens, the audit and `allowLockout` too. No other scope includes another: who writes and looks has both.",
  examples: [["bans:write"] satisfies Scope[]],
});

/** The body of POST. */
export const NewToken = strictObject(
  {
    name,
    scopes,
    expiresAt: Type.Optional(
      inputTime("Until when it is good: a time in the future, with any offset. Left out: until it is removed."),
    ),
  },
  { $id: "NewToken", description: "A token to make.", examples: [{ name: "ci", scopes: ["bans:write"] }] },
);

/** A token as it is listed. */
export const TokenResource = strictObject(
  {
    name,
    scopes,
    createdAt: outputTime("When it was made."),
    expiresAt: nullable(outputTime("Until when it is good."), { description: "null: until it is removed." }),
  },
  { $id: "Token", description: "A token, without its secret: of that, only a hash is kept." },
);

/** A token as POST answers it. */
export const IssuedTokenResource = strictObject(
  {
    ...TokenResource.properties,
    token: Type.String({
      description: "The secret, 256 random bits in base64url. It is answered here and never again.",
      examples: ["k3Jw0uJ0b1mWzwPp5dTLq0MrYQzzzzzwq1bXv9ZrTt2"],
    }),
  },
  { $id: "IssuedToken", description: "A token that was made, with its secret." },
);

/** What making a token would do. */
export const TokenForesightResource = foresightOf(reference(TokenResource), "TokenForesight");

/** Where a token stands. */
export const TokenPath = strictObject({ name });
