/**
 * All groups: who asks the same as somebody else with the same rights joins them.
 * @module
 */
import type { GraphQLSchema, ValidatedSubscriptionArgs } from "graphql";
import type { Principal } from "../../../auth/contract.ts";
import type { GraphqlLog } from "../errors.ts";
import { Courier } from "./courier.ts";
import { Group, type Member } from "./group.ts";

/** The groups of a server. */
export class Groups {
  readonly #courier = new Courier();
  /** By who asks, and by what is asked. A token that was seen before is the same principal. */
  readonly #shared = new Map<Principal, Map<string, Group>>();

  constructor(
    readonly schema: GraphQLSchema,
    private readonly log: GraphqlLog,
  ) {}

  /** @param key equal for equal questions; undefined for one that is nobody else's */
  join(member: Member, caller: Principal, key: string | undefined, args: ValidatedSubscriptionArgs): Group {
    if (key === undefined) {
      const group = this.#open(args, () => undefined);
      group.join(member);
      return group;
    }
    const byKey = this.#shared.get(caller) ?? new Map<string, Group>();
    const found = byKey.get(key);
    if (found !== undefined && !found.isHeldUp) {
      found.join(member);
      return found;
    }
    const group = this.#open(args, () => {
      if (byKey.get(key) === group) byKey.delete(key);
      if (byKey.size === 0) this.#shared.delete(caller);
    });
    byKey.set(key, group);
    this.#shared.set(caller, byKey);
    group.join(member);
    return group;
  }

  #open(args: ValidatedSubscriptionArgs, ended: () => void): Group {
    return new Group({ args, courier: this.#courier, log: this.log, ended });
  }
}
