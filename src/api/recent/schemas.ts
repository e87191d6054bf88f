import { address, outputTime, strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";

const name = Type.String({ description: "The name of the list.", examples: ["DEFAULT"] });
const own = Type.Boolean({ description: "Whether it is this service's." });
const capacity = Type.Integer({
  minimum: 0,
  description: "How many entries it holds; one more pushes the oldest out (ip_list_tot of xt_recent).",
  examples: [100],
});

/** A list of the kernel, as the list of lists has it. */
export const RecentListSummaryResource = strictObject(
  { name, own, entries: Type.Integer({ minimum: 0, description: "How many it has." }), capacity },
  { $id: "RecentListSummary", description: "An xt_recent list of this host." },
);

/** The same with its entries. */
export const RecentListResource = strictObject(
  {
    name,
    own,
    capacity,
    entries: Type.Array(
      strictObject({
        address: address("Whose packets were seen.", "203.0.113.9"),
        lastSeenAt: outputTime("When the latest was."),
        seenAt: Type.Array(outputTime("When one was."), { description: "The packets that the kernel remembers, oldest first." }),
      }),
      { description: "The latest first." },
    ),
  },
  { $id: "RecentList", description: "An xt_recent list of this host with its entries, read as it is now." },
);

/** Where a list stands. */
export const RecentListPath = strictObject({
  list: Type.String({ description: "The name of the list, percent-encoded.", examples: ["DEFAULT"] }),
});
