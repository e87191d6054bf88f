import type { TSchema } from "typebox";
import { reference } from "../fields.ts";
import { ApiProblem, problemDocument, problemMediaType } from "../problems/problem.ts";
import { isProblemSlug, type ProblemSlug, problemTypes } from "../problems/problem-types.ts";
import { Type } from "../schema-type.ts";

/** The schema of every error answer. */
export const Problem = Type.Object(
  {
    type: Type.String({
      format: "uri-reference",
      description: "The kind of problem: a path of this service, which explains it.",
      examples: ["/problems/lockout"],
    }),
    title: Type.String({ description: "The same for every problem of the type." }),
    status: Type.Integer({ description: "The status of the answer." }),
    detail: Type.String({ description: "What was wrong this time." }),
    instance: Type.Optional(Type.String({ format: "uri", description: "The request, as the log of the service names it." })),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({
            description: "A JSON pointer into the body, or the name of a parameter or header.",
            examples: ["/ports/0"],
          }),
          message: Type.String({ description: "What the field takes.", examples: ["must be an integer from 1 to 65535"] }),
        }),
        { description: "The fields that were not accepted, the first hundred of them." },
      ),
    ),
  },
  { $id: "Problem", description: "A problem document (RFC 9457)." },
);

const headerFields = {
  "Connlimitd-Changed": Type.Boolean({ description: "Whether the request changed anything (for `changed_when` and its like)." }),
  ETag: Type.String({ description: "The strong version of the resource, for If-Match.", examples: ['"mJ1uQk4Ndq3vC0X9ZrTt2A"'] }),
  Location: Type.String({ format: "uri-reference", description: "The path of the new resource." }),
  "Retry-After": Type.Integer({ description: "Seconds after which to try again." }),
  "WWW-Authenticate": Type.String({ description: "The scheme that is needed: Bearer." }),
} as const;

export type HeaderField = keyof typeof headerFields;

/** What a route answers under one status; the serialiser does not look at it, the OpenAPI document does. */
export interface DocumentedResponse {
  readonly description: string;
  readonly type?: "null";
  readonly headers?: Readonly<Record<string, TSchema>>;
  readonly content?: Readonly<
    Record<string, { readonly schema: TSchema; readonly examples?: Readonly<Record<string, { readonly $ref: string }>> }>
  >;
}

/** An answer with a JSON body. */
export function json(description: string, schema: TSchema, ...headers: readonly HeaderField[]): DocumentedResponse {
  return content(description, "application/json", schema, ...headers);
}

/** Either of two bodies. */
export function oneOf(...schemas: TSchema[]): TSchema {
  return Type.Union(schemas);
}

/** The answer of a dry run where the write itself answers with another status. */
export function dryRun(schema: TSchema): DocumentedResponse {
  return json(
    "What the write would do, for a dry run. Nothing was stored, and nothing was changed.",
    schema,
    "Connlimitd-Changed",
  );
}

/** An answer with a body of another type. */
export function content(
  description: string,
  mediaType: string,
  schema: TSchema,
  ...headers: readonly HeaderField[]
): DocumentedResponse {
  return { description, ...headerObject(headers), content: { [mediaType]: { schema } } };
}

/** An answer without a body. */
export function empty(description: string, ...headers: readonly HeaderField[]): DocumentedResponse {
  return { description, type: "null", ...headerObject(headers) };
}

/** The problems that every route has, whatever it does. */
const commonProblems = [
  "malformed-request",
  "forbidden",
  "request-timeout",
  "header-too-large",
  "internal",
  "overloaded",
] as const satisfies readonly ProblemSlug[];

/** The problems of a route that reads a body, hence of a write. */
export const bodyProblems = [
  "invalid-input",
  "malformed-json",
  "payload-too-large",
  "unsupported-media-type",
  "insufficient-scope",
] as const satisfies readonly ProblemSlug[];

/** The problem answers of a route by status, with an example for each type: the common ones and these. */
export function problems(...slugs: readonly ProblemSlug[]): Readonly<Record<string, DocumentedResponse>> {
  return publicProblems("unauthorized", "too-many-failures", ...slugs);
}

/** The same for a route that needs no token. */
export function publicProblems(...slugs: readonly ProblemSlug[]): Readonly<Record<string, DocumentedResponse>> {
  const byStatus = Map.groupBy(new Set([...slugs, ...commonProblems]), (slug) => problemTypes[slug].status);
  const entries = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(entries.map(([status, sameStatus]) => [String(status), problemResponse(status, sameStatus)]));
}

/** What no documented operation answers, as the method is another one. */
const elsewhere: readonly ProblemSlug[] = ["method-not-allowed"];

/** One example for each type of problem, by slug; the answers of the routes refer to them. */
export function problemExamples() {
  const slugs = Object.keys(problemTypes)
    .filter(isProblemSlug)
    .filter((slug) => !elsewhere.includes(slug));
  return Object.fromEntries(slugs.map((slug) => [slug, example(slug)]));
}

function problemResponse(status: number, slugs: readonly ProblemSlug[]): DocumentedResponse {
  const headers: HeaderField[] = [];
  if (status === 401) headers.push("WWW-Authenticate");
  if (status === 429 || status === 503) headers.push("Retry-After");
  return {
    description: slugs.map((slug) => `${problemTypes[slug].title} (\`${slug}\`).`).join(" "),
    ...headerObject(headers),
    content: {
      [problemMediaType]: {
        schema: reference(Problem),
        examples: Object.fromEntries(slugs.map((slug) => [slug, { $ref: `#/components/examples/${slug}` }])),
      },
    },
  };
}

function example(slug: ProblemSlug) {
  const detail = problemTypes[slug].example;
  const [pointer = "", message = ""] = detail.split(/: |\.$/);
  const errors = slug === "invalid-input" ? [{ pointer, message }] : [];
  const value = problemDocument(new ApiProblem(slug, detail, { errors }), "3f0f4e1c-52b5-4c2f-9a37-0a4b6f2f8f0e");
  return { summary: problemTypes[slug].title, value };
}

function headerObject(names: readonly HeaderField[]) {
  return names.length === 0 ? {} : { headers: Object.fromEntries(names.map((name) => [name, headerFields[name]])) };
}
