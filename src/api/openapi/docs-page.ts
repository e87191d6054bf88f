import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const title = "connlimitd API";

/** The page that shows the OpenAPI document; its parts come from /docs/static. */
export const docsPage = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>${title}</title>
    <link rel="stylesheet" href="/docs/static/swagger-ui.css">
    <link rel="stylesheet" href="/docs/static/index.css">
    <link rel="icon" type="image/png" href="/docs/static/favicon-32x32.png" sizes="32x32">
    <link rel="icon" type="image/png" href="/docs/static/favicon-16x16.png" sizes="16x16">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/static/swagger-ui-bundle.js"></script>
    <script src="/docs/static/swagger-ui-standalone-preset.js"></script>
    <script src="/docs/static/swagger-initializer.js"></script>
  </body>
</html>
`;

/** Browsers send an Origin with everything but GET, and that is refused. */
const initializer = `window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    supportedSubmitMethods: ["get"],
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: "StandaloneLayout",
  });
};
`;

const [css, js, png] = ["text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/png"];
const types: ReadonlyMap<string, string> = new Map([
  ["swagger-ui.css", css],
  ["index.css", css],
  ["favicon-32x32.png", png],
  ["favicon-16x16.png", png],
  ["swagger-ui-bundle.js", js],
  ["swagger-ui-standalone-preset.js", js],
]);

/** A part of the page, by its name; `undefined` for any other. Read when it is asked for: together they are 2 MB. */
export async function docsPart(name: string): Promise<{ readonly type: string; readonly content: string | Buffer } | undefined> {
  if (name === "swagger-initializer.js") return { type: js, content: initializer };
  const type = types.get(name);
  if (type === undefined) return undefined;
  // A plugin that serves them would keep a file server in memory for it.
  const directory = dirname(require.resolve("swagger-ui-dist/package.json"));
  return { type, content: await readFile(join(directory, name)) };
}
