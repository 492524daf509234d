/**
 * The process of a paced publisher: URL, publishes a second and bytes of a body on its command line. It sends when it
 * is time to, whether or not earlier ones are answered, so that a server that stands still is seen in every publish
 * meanwhile; a publish that it sends late itself counts from when it was due.
 * @module
 */
import { connect } from "../../../src/client/index.ts";
import { bodyOf } from "./fill.ts";

/** What it tells the benchmark: once that it publishes, and at the end, after `"stop"`, how long each publish took. */
export type PacedReport =
  | { readonly kind: "ready" }
  | {
      readonly kind: "samples";
      /** When each was due in Unix milliseconds, and for how many milliseconds it was not answered from then on. */
      readonly samples: readonly (readonly [atMs: number, tookMs: number])[];
      /** What the first publish that failed failed with. */
      readonly failure: string | undefined;
    };

/** Between two looks at what is due, in milliseconds. */
const tickMs = 1;
const subjects = 8;
const closeMsMax = 30_000;

const tell = (report: PacedReport): void => void process.send?.(report);

const run = async (url: string, perSecond: number, bodyBytes: number): Promise<void> => {
  const mts = connect(url);
  await mts.connected();
  const samples: [number, number][] = [];
  let failure: string | undefined;
  let sent = 0;
  const startMs = performance.now();
  const publish = (): void => {
    const number = sent++;
    const dueMs = startMs + (number / perSecond) * 1000;
    mts.publish(`others.${number % subjects}`, bodyOf(number, bodyBytes)).then(
      () => samples.push([performance.timeOrigin + dueMs, performance.now() - dueMs]),
      (error: unknown) => {
        failure ??= String(error);
      },
    );
  };
  const timer = setInterval(() => {
    const due = ((performance.now() - startMs) * perSecond) / 1000;
    while (sent < due) publish();
  }, tickMs);
  process.once("message", () => {
    clearInterval(timer);
    mts.close({ timeoutMs: closeMsMax }).then(
      () => end(samples, failure),
      (error: unknown) => end(samples, failure ?? String(error)),
    );
  });
  tell({ kind: "ready" });
};

const end = (samples: readonly (readonly [number, number])[], failure: string | undefined): void => {
  // It is ended by who reads this: a process that ends itself may end before it has told.
  tell({ kind: "samples", samples, failure });
};

if (import.meta.main) {
  const [url = "", perSecond = "", bodyBytes = ""] = Bun.argv.slice(2);
  await run(url, Number(perSecond), Number(bodyBytes));
}
