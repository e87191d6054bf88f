import { isLive } from "./ban-rules.ts";
import type { Desired, DesiredState } from "./ports.ts";

/** What a pass would bring about for `state`: all but what is over. `now` in milliseconds since the epoch. */
export function desiredOf(state: DesiredState, now: number): Desired {
  return {
    policies: state.policies(),
    operatorBans: state.operatorBans().filter((ban) => isLive(ban, now)),
    lifts: state.lifts(),
    graces: state.graces().filter((grace) => grace.until > now),
  };
}
