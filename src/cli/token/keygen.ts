/**
 * `token keygen`: makes the keys that tokens are signed and checked with.
 * @module
 */
import { makeKeys, tokenAlgorithms } from "../../auth/issue.ts";
import { type Command, UsageError } from "../command.ts";
import { writeKeyFiles } from "./files.ts";

export const tokenKeygenCommand: Command = {
  name: "token keygen",
  usage: "[--algorithm EdDSA|ES256|RS256|HS256] [--out NAME] [--force]",
  summary: "make the keys that tokens are signed and checked with",
  details: `
Writes NAME.private.pem, which signs and stays where tokens are issued, and NAME.public.pem for the servers
(--auth-public-key). With HS256 there is one NAME.secret for both (--auth-secret-file). All are readable by their owner
only. To change keys, put the new public key behind the old one in the servers' file, and take the old one out when the
last token of it has expired.

Examples:
  minitoolstream token keygen --out tokens
  minitoolstream token keygen --algorithm HS256 --out /etc/minitoolstream/tokens`,
  operands: { min: 0, max: 0 },
  isOffline: true,
  options: {
    algorithm: { kind: "text", placeholder: "NAME", meaning: "EdDSA (default), ES256, RS256 or HS256" },
    out: { kind: "text", placeholder: "NAME", meaning: "beginning of the files' names, with a folder; default token" },
    force: { kind: "flag", meaning: "replace files that are there" },
  },
  run: async (given, io) => {
    const asked = given.text("algorithm") ?? "EdDSA";
    const algorithm = tokenAlgorithms.find((known) => known.toLowerCase() === asked.toLowerCase());
    if (algorithm === undefined) throw new UsageError(`--algorithm must be one of ${tokenAlgorithms.join(", ")}`);
    const name = given.text("out") ?? "token";
    const keys = makeKeys(algorithm);
    const files =
      keys.kind === "secret"
        ? ([[`${name}.secret`, `${keys.secret}\n`]] as const)
        : ([
            [`${name}.private.pem`, keys.privatePem],
            [`${name}.public.pem`, keys.publicPem],
          ] as const);
    await writeKeyFiles(files, given.flag("force"), io);
    await io.stdout.write(files.map(([path]) => `${path}\n`).join(""));
    return 0;
  },
};
