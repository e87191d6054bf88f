import type { FastifyInstance, FastifyRequest } from "fastify";
import { ApiProblem } from "../problems/problem.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Takes JSON bodies, and no others. */
export function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, parseBody);
  // Reached for every other type: it says which one came.
  app.addContentTypeParser("*", ({ headers, routeOptions }, _payload, done) => {
    if (routeOptions.config.takesNoBody === true) done(null);
    else done(wrongType(headers["content-type"]));
  });
  app.addHook("preValidation", async ({ body, routeOptions }) => {
    if (body === undefined && routeOptions.schema?.body !== undefined) throw missingBody();
  });
}

/** Takes merge patches (RFC 7396) too, for the routes that are registered on `app`. */
export function acceptMergePatch(app: FastifyInstance): void {
  app.addContentTypeParser("application/merge-patch+json", { parseAs: "buffer" }, parseBody);
}

function missingBody(): ApiProblem {
  return new ApiProblem("malformed-json", "A JSON body is needed, and there is none.");
}

async function parseBody({ headers, routeOptions }: FastifyRequest, body: Buffer): Promise<unknown> {
  // A content type without a body is what some clients send out of habit; with a body the request was refused before.
  if (routeOptions.config.takesNoBody === true) return undefined;
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new ApiProblem("unsupported-media-type", "The body is compressed; send it as it is, without Content-Encoding.");
  }
  if (body.length === 0) throw missingBody();
  try {
    return JSON.parse(utf8.decode(body));
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new ApiProblem("malformed-json", `The body is not valid JSON: ${error.message}.`, { cause: error });
    throw new ApiProblem("malformed-json", "The body is not valid UTF-8.", { cause: error });
  }
}

function wrongType(mediaType: string | undefined): ApiProblem {
  if (mediaType === undefined)
    return new ApiProblem("unsupported-media-type", "The body needs the header Content-Type: application/json.");
  return new ApiProblem("unsupported-media-type", `The body has the type ${JSON.stringify(mediaType)}; send application/json.`);
}
