/**
 * What the publisher of a message and its committer agree on: one of them is first. Either the commit begins, and from
 * then on the message may be stored; or the publish is given up, and then it never will be.
 * @module
 */

/** One a publish. */
export class Ticket {
  #state: "waiting" | "committing" | "withdrawn" = "waiting";

  /** Whether the publish was given up before its commit began. */
  get isWithdrawn(): boolean {
    return this.#state === "withdrawn";
  }

  /** For the committer, right before it calls the store. False: it must not, the publish was given up. */
  begin(): boolean {
    if (this.#state === "withdrawn") return false;
    this.#state = "committing";
    return true;
  }

  /** For the publisher. True: it is surely never stored. False: nobody knows yet. */
  withdraw(): boolean {
    if (this.#state === "committing") return false;
    this.#state = "withdrawn";
    return true;
  }
}
