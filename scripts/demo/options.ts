/**
 * The options of the demo: flags, or the environment of the same names, as a Makefile would give them.
 * @module
 */
import { parseSize } from "../../src/core/duration.ts";
import {
  type Environment,
  OptionReader,
  type OptionSpecs,
  optionLines,
  type ParsedOptions,
  parseCommandLine,
} from "../command/options.ts";

/** Where the documents go. */
export type Place =
  | { readonly kind: "embedded"; readonly dataDir: string | undefined }
  | { readonly kind: "remote" }
  | { readonly kind: "url"; readonly url: string };

/** What to do. */
export interface Options {
  readonly place: Place;
  /** Length of one document as JSON, in bytes. */
  readonly documentBytes: number;
  readonly count: number;
  readonly branches: number;
  /** The producer reads back every document and compares; it is a recipient of its own then. */
  readonly verify: boolean;
  /** A document goes as soon as all have acknowledged it, and the run ends when nothing is left. */
  readonly remove: boolean;
  readonly seed: number;
  readonly json: boolean;
}

const specs = {
  "msg-size": { value: "SIZE", env: "MSG_SIZE", meaning: "length of a document as JSON (default 1MB; 1kB to 64MB)" },
  count: { value: "N", env: "COUNT", meaning: "documents (default 20)" },
  branches: { value: "N", env: "BRANCHES", meaning: "branches, each a process of its own (default 3; 1 to 20)" },
  verify: { env: "VERIFY", meaning: "the producer reads back every document and compares it" },
  delete: { env: "DELETE", meaning: "documents go when all have acknowledged them; ends when nothing is left" },
  stores: {
    value: "PAIR",
    env: "STORES",
    meaning: "embedded (default: SQLite and files) or remote (Tarantool, MinIO)",
  },
  "data-dir": { value: "DIR", meaning: "folder of the embedded stores, which stays (default: a temporary one)" },
  url: { value: "URL", meaning: "a running server in place of one that is started for the demo" },
  seed: { value: "N", meaning: "what the documents are made from (default 1)" },
  json: { meaning: "print the result as one JSON object" },
  help: { meaning: "this text" },
} as const satisfies OptionSpecs<string>;

type Name = keyof typeof specs;

const documentBytesMin = 1000;
/** The largest body of a server is 64 MiB unless it is told otherwise. */
const documentBytesMax = 64_000_000;
const countMax = 100_000;
const branchesMax = 20;

const help = (): string => `Usage: scripts/demo-branches [options]

Head office sends large documents to its branches: it puts each one (JSON, gzip) straight into the store and publishes
a pointer to it. Every branch is a process that fetches pointers under its own name, downloads the document, checks its
SHA-256, unpacks, parses and books it, and acknowledges. One branch is killed in the middle of its work and started
again, one is slow. With --delete the server lets go of a document as soon as every branch has acknowledged it, and its
sweep deletes the bytes; at the end the bucket and the books must be empty.

${optionLines(specs)}
Switches in the environment are 1 or 0, such as VERIFY=1. Flags win over the environment.

Exit code: 0 all well; 1 something differs from what it must be; 2 wrong options; 130 interrupted.
`;

/** Reads the arguments and the environment; all that is wrong is said at once. */
export const parseOptions = (argv: readonly string[], env: Environment): ParsedOptions<Options> =>
  parseCommandLine(argv, { specs, help }, (values) => {
    const reader = new Reader(specs, values, env);
    const options: Options = {
      place: reader.place(),
      documentBytes: reader.size("msg-size", documentBytesMin, documentBytesMax, 1_000_000),
      count: reader.integer("count", 1, countMax, 20),
      branches: reader.integer("branches", 1, branchesMax, 3),
      verify: reader.on("verify"),
      remove: reader.on("delete"),
      seed: reader.integer("seed", 0, 2 ** 31, 1),
      json: reader.on("json"),
    };
    return { options, errors: reader.errors };
  });

class Reader extends OptionReader<Name> {
  size(name: Name, min: number, max: number, otherwise: number): number {
    const raw = this.text(name);
    if (raw === undefined) return otherwise;
    const value = parseSize(raw) ?? Number.NaN;
    if (value >= min && value <= max) return value;
    this.wrong(`--${name} must be a size from ${min} to ${max} bytes, such as 1MB`);
    return otherwise;
  }

  place(): Place {
    const url = this.text("url")?.replace(/\/+$/, "");
    const dataDir = this.text("data-dir");
    const stores = this.text("stores") ?? "embedded";
    if (stores !== "embedded" && stores !== "remote") this.wrong("--stores must be embedded or remote");
    if (dataDir !== undefined && (stores === "remote" || url !== undefined)) {
      this.wrong("--data-dir is for embedded stores of the demo's own server");
    }
    if (url !== undefined) {
      // The environment of the same name may be there for other runs.
      if (this.values["stores"] !== undefined) this.wrong("--url has the stores of its server; leave --stores out");
      if (!/^https?:\/\//.test(url) || !URL.canParse(url)) this.wrong("--url must be like http://127.0.0.1:8000");
      return { kind: "url", url };
    }
    return stores === "remote" ? { kind: "remote" } : { kind: "embedded", dataDir };
  }
}
