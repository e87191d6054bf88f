import { maxBatchItems } from "../../domain/ban-batch.ts";
import { network, reference, strictObject } from "../fields.ts";
import { foresightOf } from "../foresight/schemas.ts";
import { Type } from "../schema-type.ts";
import { NewBan, severed } from "./schemas.ts";

/** The body of a batch. */
export const BanBatchBody = strictObject(
  {
    put: Type.Optional(
      Type.Array(reference(NewBan), { maxItems: maxBatchItems, description: "Bans to make or to set anew, as PUT does." }),
    ),
    delete: Type.Optional(
      Type.Array(network("The address or network.", "203.0.113.9"), {
        maxItems: maxBatchItems,
        description: "What to lift every cause of. An address that is not banned is left as it is.",
        examples: [["203.0.113.9"]],
      }),
    ),
  },
  {
    $id: "BanBatch",
    description: `Up to ${maxBatchItems} changes in both lists together, at least one, and each address once.`,
    examples: [{ put: [{ address: "198.51.100.0/24", reason: "scanners", ttlSeconds: 3600 }], delete: ["203.0.113.9"] }],
  },
);

/** What became of a batch. */
export const BanBatchResult = strictObject(
  {
    created: Type.Integer({ minimum: 0, description: "Addresses that had no ban before." }),
    updated: Type.Integer({ minimum: 0, description: "Bans that were set anew." }),
    deleted: Type.Integer({ minimum: 0, description: "Bans that were lifted." }),
    unchanged: Type.Integer({ minimum: 0, description: "Items that asked for what was there already." }),
    severed,
  },
  { $id: "BanBatchResult", description: "How many items did what." },
);

/** What a batch would do. */
export const BatchForesightResource = foresightOf(reference(BanBatchResult), "BatchForesight");
