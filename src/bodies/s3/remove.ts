/**
 * Deletes objects, many in one request. Not every server knows that request (or wants another checksum with it), so
 * where it is refused they go one by one.
 * @module
 */
import type { S3Admin } from "./admin.ts";
import { type S3Fault, storeError, toFault } from "./faults.ts";
import { isSafeName } from "./names.ts";

/** S3 takes no more in one request. */
const togetherMax = 1000;
/** Single deletes under way at once. */
const singlesMax = 8;

/** See the module. */
export class ObjectRemover {
  readonly #admin: S3Admin;
  /** The server refused the request for many and took those for one. */
  #onlySingles = false;

  constructor(admin: S3Admin) {
    this.#admin = admin;
  }

  /** See `BodyStore.remove`. @throws StreamError `unavailable` when the server does not answer or refuses all */
  async remove(objects: readonly string[]): Promise<readonly string[]> {
    // A name that cannot be a key is that of no object, which counts as deleted.
    const named = [...new Set(objects)].filter((object) => object !== "" && isSafeName(object));
    const left: string[] = [];
    for (let start = 0; start < named.length; start += togetherMax) {
      left.push(...(await this.#removeSome(named.slice(start, start + togetherMax))));
    }
    return left;
  }

  async #removeSome(objects: readonly string[]): Promise<readonly string[]> {
    if (this.#onlySingles) return this.#removeSingly(objects);
    let failed: ReadonlyMap<string, S3Fault>;
    try {
      failed = await this.#admin.removeTogether(objects);
    } catch (thrown) {
      const fault = toFault(thrown, "DELETE");
      if (fault.kind !== "refused" && fault.kind !== "missing") throw storeError(fault);
      const left = await this.#removeSingly(objects);
      this.#onlySingles = left.length < objects.length;
      return left;
    }
    // What is locked stays locked; what a busy server left over may go with another request.
    return [...failed.keys()];
  }

  async #removeSingly(objects: readonly string[]): Promise<readonly string[]> {
    const left: string[] = [];
    let fault: S3Fault | undefined;
    const waiting = objects.values();
    const work = async (): Promise<void> => {
      for (const object of waiting) {
        // The server that did not answer for one will not for a thousand.
        if (fault?.retryable === true) left.push(object);
        else {
          await this.#admin.removeOne(object).catch((thrown: unknown) => {
            fault = toFault(thrown, `DELETE ${object}`);
            left.push(object);
          });
        }
      }
    };
    await Promise.all(Array.from({ length: singlesMax }, work));
    if (fault !== undefined && left.length === objects.length) throw storeError(fault);
    return left;
  }
}
