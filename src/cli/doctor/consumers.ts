/**
 * Whether consumers stand where they can stand.
 * @module
 */
import type { ConsumerState, Head } from "../../core/message.ts";
import type { Report } from "./problems.ts";

/** Checks the consumers of one subject. */
export const checkConsumers = (consumers: readonly ConsumerState[], head: Head, report: Report): void => {
  for (const state of consumers) {
    report.consumers++;
    const { subject, name: consumer, ackedThrough } = state;
    for (const detail of faultsOf(state, head)) {
      report.add({ code: "consumer_position", subject, consumer, detail });
    }
    if (ackedThrough > head.lastSequence && ackedThrough === state.deliveredThrough) {
      // A consumer may be made to start at a sequence that is yet to come.
      report.note(
        `${subject}: consumer ${consumer} waits for ${ackedThrough + 1}, the last message is ${head.lastSequence}`,
      );
    }
  }
};

const faultsOf = (state: ConsumerState, head: Head): readonly string[] => {
  const { ackedThrough, deliveredThrough, pending, ackPending } = state;
  const faults: string[] = [];
  const fault = (wrong: boolean, text: string): void => {
    if (wrong) faults.push(text);
  };
  const { firstSequence, lastSequence } = head;
  const stored = lastSequence - firstSequence + 1;
  fault(
    ackedThrough > lastSequence && ackedThrough !== deliveredThrough,
    `has acknowledged through ${ackedThrough}, but the last message is ${lastSequence}`,
  );
  fault(
    deliveredThrough > lastSequence && ackedThrough !== deliveredThrough,
    `was given messages through ${deliveredThrough}, but the last message is ${lastSequence}`,
  );
  fault(ackedThrough < 0, `has acknowledged through ${ackedThrough}`);
  fault(pending < 0 || pending > stored, `has ${pending} messages before it, but ${stored} are stored`);
  fault(ackPending < 0 || ackPending > pending, `has ${ackPending} messages out of ${pending} under way`);
  return faults;
};
