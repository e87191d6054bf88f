import type { ProblemType } from "./problem-types.ts";

/** The page behind a problem's `type`: what it means and what to do. */
export function problemPage(slug: string, { status, title, explanation, remedies }: ProblemType): string {
  const items = remedies.map((remedy) => `      <li>${escapeHtml(remedy)}</li>`).join("\n");
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>${escapeHtml(title)}</title>
  </head>
  <body>
    <h1>${escapeHtml(title)}</h1>
    <p>Status ${status}, type <code>/problems/${escapeHtml(slug)}</code></p>
    <p>${escapeHtml(explanation)}</p>
    <h2>What to do</h2>
    <ul>
${items}
    </ul>
  </body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
