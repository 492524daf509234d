/**
 * The results of a batch publish, in place.
 * @module
 */
import { ScanError, type Scanner, word } from "./scan.ts";

/** What becomes of the results, by their place in the batch. */
export interface ResultSink {
  acked(index: number, sequence: number): void;
  refused(index: number, code: string): void;
}

/** Reads the array of results that starts at the scanner. @throws ScanError when it has not `count` items */
export const readResults = (scanner: Scanner, count: number, sink: ResultSink): void => {
  const results = scanner.arrayHead();
  if (results !== count) throw new ScanError(`${results} results for ${count} messages`);
  for (let i = 0; i < count; i++) readResult(scanner, i, sink);
};

const readResult = (scanner: Scanner, index: number, sink: ResultSink): void => {
  let sequence = 0;
  let code: string | undefined;
  for (let pairs = scanner.mapHead(); pairs > 0; pairs--) {
    const key = scanner.word();
    if (key === word.sequence) sequence = scanner.integer();
    else if (key === word.error) code = readCode(scanner);
    else scanner.skip();
  }
  if (code === undefined) sink.acked(index, sequence);
  else sink.refused(index, code);
};

const readCode = (scanner: Scanner): string => {
  let code = "error_without_code";
  for (let pairs = scanner.mapHead(); pairs > 0; pairs--) {
    if (scanner.word() === word.code) code = scanner.text();
    else scanner.skip();
  }
  return code;
};
