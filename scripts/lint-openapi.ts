import { createConfig, formatProblems, getTotals, lint } from "@redocly/openapi-core";
import { openapiFile } from "./generate-openapi.ts";

// Every rule of the set counts, warnings too; none is turned off.
const config = await createConfig({ extends: ["recommended"] });
const problems = await lint({ ref: openapiFile, config });
const totals = getTotals(problems);
formatProblems(problems, { totals, format: "stylish", color: false });
if (problems.length > 0) process.exitCode = 1;
else console.log("openapi/openapi.json: no errors, no warnings");
