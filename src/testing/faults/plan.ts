/**
 * Which fault happens where, and at which passing: the part that a test says and the part that the process under test
 * does about it. It travels as JSON in one environment variable.
 * @module
 */
import { type ErrorCode, errorCodes, StreamError } from "../../core/errors.ts";

/** Places at which something can go wrong, in the order in which a publish, and then upkeep, passes them. */
export const faultPoints = [
  "bodies.segment",
  "bodies.object",
  "segment.write.before",
  "segment.write.half",
  "segment.sync.before",
  "segment.sync.after",
  "segment.folder.before",
  "segment.folder.after",
  "object.write.half",
  "object.sync.before",
  "object.rename.before",
  "object.rename.after",
  "object.folder.before",
  "object.folder.after",
  "commit.before",
  "commit.after",
  "actor.commit.before",
  "actor.commit.after",
  "due.before",
  "due.after",
  "range.before",
  "pull.before",
  "pull.after",
  "ack.before",
  "ack.after",
  "purge.before",
  "purge.after",
  "expire.before",
  "expire.after",
  "condemn.after",
  "sparse.take.after",
  "move.before",
  "move.after",
  "dead.take.after",
  "bodies.remove.before",
  "object.unlink.after",
  "bodies.remove.after",
  "dead.forget.after",
] as const;

/** A place; `before` and `after` are meant to the call they name, `half` has half of the bytes written. */
export type FaultPoint = (typeof faultPoints)[number];

/**
 * What happens: the process is killed as if by `kill -9`; it waits for the next
 * SIGUSR2; the call fails with an error of the
 * stream, or with one of the operating system.
 */
export type FaultAct = "kill" | "hold" | { readonly error: ErrorCode } | { readonly errno: string };

/** One fault; it happens once. */
export interface Fault {
  readonly point: FaultPoint;
  /** 1 is the first time the place is passed. */
  readonly hit: number;
  readonly act: FaultAct;
}

/** What standard error says when a `hold` has been reached. */
export const heldLine = (point: FaultPoint): string => `held at ${point}\n`;

/** The variable; not one of the server's settings, so the entry takes it away before the server looks. */
const variable = "MTS_TEST_FAULTS";

/** The environment that arms these faults. */
export const faultEnvironment = (faults: readonly Fault[]): Record<string, string> =>
  faults.length === 0 ? {} : { [variable]: JSON.stringify(faults) };

/** Takes the faults out of an environment. */
export const takeFaults = (env: Record<string, string | undefined>): readonly Fault[] => {
  const raw = env[variable];
  // Assigning undefined would leave the text "undefined" in the environment of the process.
  Reflect.deleteProperty(env, variable);
  if (raw === undefined) return [];
  const faults: unknown = JSON.parse(raw);
  if (!Array.isArray(faults) || !faults.every(isFault)) throw new Error(`${variable} is no list of faults: ${raw}`);
  return faults;
};

const isFault = (value: unknown): value is Fault => {
  if (typeof value !== "object" || value === null) return false;
  const { point, hit, act } = value as Record<string, unknown>;
  return faultPoints.some((known) => known === point) && Number.isSafeInteger(hit) && isAct(act);
};

const isAct = (value: unknown): value is FaultAct => {
  if (value === "kill" || value === "hold") return true;
  if (typeof value !== "object" || value === null) return false;
  const { error, errno } = value as Record<string, unknown>;
  return (typeof error === "string" && Object.hasOwn(errorCodes, error)) || typeof errno === "string";
};

/** Counts how often each place was passed, and does what is armed there. */
export class FaultPlan {
  readonly #faults: readonly Fault[];
  readonly #hold: (point: FaultPoint) => Promise<unknown>;
  readonly #hits = new Map<FaultPoint, number>();

  /** @param hold is told where it waits, and resolves when it may go on */
  constructor(faults: readonly Fault[], hold: (point: FaultPoint) => Promise<unknown>) {
    this.#faults = faults;
    this.#hold = hold;
  }

  /** Counts one passing; answers what is to be done at this one. */
  hit(point: FaultPoint): FaultAct | undefined {
    const hit = (this.#hits.get(point) ?? 0) + 1;
    this.#hits.set(point, hit);
    return this.#faults.find((fault) => fault.point === point && fault.hit === hit)?.act;
  }

  /** Passes a place where nothing can be waited for. */
  passNow(point: FaultPoint): void {
    const act = this.hit(point);
    if (act !== undefined) this.fail(act);
  }

  /** Passes a place. */
  async pass(point: FaultPoint): Promise<void> {
    const act = this.hit(point);
    if (act === "hold") await this.#hold(point);
    else if (act !== undefined) this.fail(act);
  }

  /** Ends the process or throws. */
  fail(act: FaultAct): never {
    if (act === "kill") process.kill(process.pid, "SIGKILL");
    if (act === "kill" || act === "hold") throw new Error(`${act} is not possible here`);
    if ("error" in act) throw new StreamError(act.error, "This fault was asked for.");
    throw Object.assign(new Error(`${act.errno}: this fault was asked for`), { code: act.errno });
  }
}
