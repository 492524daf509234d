/**
 * Deletes what is expired before the policies change: what readers were told is gone does not come back because a
 * policy became more generous before a sweep.
 * @module
 */
import type { FilterPolicy } from "../core/policy.ts";
import type { MetadataStore } from "../metadata/contract.ts";

/** Subjects looked at in one transaction. */
const subjectsMax = 1000;

/** @throws StreamError `unavailable` */
export const expireAll = async (
  metadata: Pick<MetadataStore, "expire">,
  policies: readonly FilterPolicy[],
): Promise<void> => {
  if (!policies.some(({ policy }) => policy.maxAgeMs !== null)) return;
  let after: string | undefined;
  do {
    ({ next: after } = await metadata.expire(after, subjectsMax));
  } while (after !== undefined);
};
