import { outputTime, policyName, strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";

const id = Type.String({ description: "What to confirm it by.", examples: ["mWzwPp5dTLq0MrYQzzzzzw"] });
const revertsAt = outputTime("When the change is undone, unless it is confirmed before.");

/** A confirmation as the write that needs it answers it. */
export const ArmedConfirmationResource = strictObject(
  { id, revertsAt },
  { $id: "ArmedConfirmation", description: "What takes the change back, unless `POST /v1/confirmations/{id}` keeps it in time." },
);

/** A confirmation as the list has it. */
export const ConfirmationResource = strictObject(
  {
    id,
    policy: policyName("The policy that was changed."),
    actor: Type.String({ description: "Who changed it: the name of a token, or `socket`.", examples: ["admin"] }),
    createdAt: outputTime("When it was changed."),
    revertsAt,
  },
  { $id: "Confirmation", description: "A change of a policy that is undone unless somebody confirms it in time." },
);

/** Where a confirmation stands. */
export const ConfirmationPath = strictObject({
  id: Type.String({ description: "The `confirmation.id` that the write answered.", examples: ["mWzwPp5dTLq0MrYQzzzzzw"] }),
});
