/**
 * Whether bodies are there, byte by byte: those of stored messages, and those of delayed ones.
 * @module
 */
import type { VerifiedBodies } from "../../bodies/verified.ts";
import { StreamError } from "../../core/errors.ts";
import type { Envelope } from "../../core/message.ts";
import type { CheckOptions, DoctorStores } from "./check.ts";
import { type Problem, reasonOf } from "./problems.ts";

/** Bodies above this are streamed instead of read with others. */
const togetherBytesMax = 1024 * 1024;
/** Delayed messages asked for at a time. */
const pageMax = 1000;

/** Reads all of them; what is wrong is in the report. @throws the signal's reason */
export const verifyBodies = async (
  bodies: VerifiedBodies,
  envelopes: readonly Envelope[],
  options: CheckOptions,
  whereOf: (envelope: Envelope) => Pick<Problem, "sequence"> & { readonly what?: string },
): Promise<void> => {
  const { report, signal, onProgress } = options;
  const judge = (envelope: Envelope, result: unknown): void => {
    const { subject, body } = envelope;
    if (!(result instanceof Error)) {
      report.bytes += body.length;
      return;
    }
    const { what = "", ...where } = whereOf(envelope);
    const isLoss = result instanceof StreamError && result.code === "data_loss";
    const place =
      body.object === "" ? "" : ` (${body.storedLength ?? body.length} bytes at ${body.offset} of ${body.object})`;
    const code = isLoss ? "body_damaged" : "body_unreadable";
    report.add({ code, subject, ...where, detail: `${what}${reasonOf(result)}${place}` });
  };
  const together = envelopes.filter(({ body }) => body.length <= togetherBytesMax);
  try {
    const read = await bodies.read(together);
    for (const [index, envelope] of together.entries()) judge(envelope, read[index]);
  } catch (thrown) {
    for (const envelope of together) judge(envelope, thrown);
  }
  for (const envelope of envelopes) {
    if (envelope.body.length <= togetherBytesMax) continue;
    signal?.throwIfAborted();
    // Opening reads all of it, chunk by chunk, before the first byte is handed out.
    judge(envelope, await bodies.open(envelope).catch((thrown: unknown) => thrown));
    onProgress?.();
  }
};

/** Reads the bodies of messages that wait for their time. @throws StreamError; the signal's reason */
export const verifyDelayed = async (
  { metadata }: DoctorStores,
  bodies: VerifiedBodies,
  options: CheckOptions,
): Promise<void> => {
  let after: string | undefined;
  for (;;) {
    options.signal?.throwIfAborted();
    const page = (await metadata.delayed?.(after, pageMax)) ?? [];
    after = page.at(-1)?.scheduleId;
    if (after === undefined) return;
    const envelopes = page.map(({ subject, body, dueAtMs }, sequence) => ({
      ...{ subject, sequence, timestampMs: dueAtMs, headers: {}, body },
    }));
    await verifyBodies(bodies, envelopes, options, ({ sequence: index }) => ({
      what: `the delayed message ${page[index]?.scheduleId ?? ""}: `,
    }));
    options.report.delayed += page.length;
  }
};
