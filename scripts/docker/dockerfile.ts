/**
 * Reads the Dockerfile as far as its test needs it: stages with their instructions, build arguments filled in. Not a
 * parser for any Dockerfile: no line continuations, no here-documents.
 * @module
 */

/** One line, such as `USER 1000:1000`. */
export interface Instruction {
  /** In capitals. */
  readonly keyword: string;
  /** What comes after the keyword, with the defaults of build arguments in place. */
  readonly text: string;
}

/** From one `FROM` to the next. */
export interface Stage {
  readonly name: string;
  /** The image or stage it starts from. */
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

/** The stages in their order; the last one is what is built when none is named. */
export const readStages = (dockerfile: string): readonly Stage[] => {
  const args = new Map<string, string>();
  const stages: (Stage & { readonly instructions: Instruction[] })[] = [];
  for (const line of dockerfile.split("\n")) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, keyword = "", raw = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (keyword === "") throw new Error(`the Dockerfile has a line that is no instruction: ${line}`);
    // Only build arguments: the same form inside a command is the shell's or JavaScript's.
    const text = raw.replace(/\$\{([A-Z_]+)\}/g, (whole, name: string) => args.get(name) ?? whole);
    if (keyword === "ARG") {
      const [name = "", value = ""] = text.split("=");
      args.set(name, value);
    } else if (keyword === "FROM") {
      const [base = "", , name = ""] = text.split(/\s+/);
      stages.push({ name, base, instructions: [] });
    } else {
      stages.at(-1)?.instructions.push({ keyword, text });
    }
  }
  return stages;
};

/** What stands behind the last instruction of a kind, which is the one that counts; undefined when there is none. */
export const lastOf = (stage: Stage, keyword: string): string | undefined =>
  stage.instructions.findLast((instruction) => instruction.keyword === keyword)?.text;

/**
 * The command of an `ENTRYPOINT`, or of a `HEALTHCHECK` behind its options, in the form that needs no shell.
 * @throws SyntaxError when it is written for a shell
 */
export const commandOf = (stage: Stage, keyword: "ENTRYPOINT" | "HEALTHCHECK"): readonly string[] => {
  const text = lastOf(stage, keyword) ?? "";
  return JSON.parse(text.slice(text.indexOf("["))) as readonly string[];
};

/** `ENV` as a map. */
export const environmentOf = (stage: Stage): Readonly<Record<string, string>> =>
  Object.fromEntries(
    stage.instructions
      .filter(({ keyword }) => keyword === "ENV")
      .flatMap(({ text }) => text.split(/\s+/))
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );

/** What `COPY` takes out of the repository; copies between stages are left out. */
export const copiedPathsOf = (stage: Stage): readonly string[] =>
  stage.instructions
    .filter(({ keyword, text }) => keyword === "COPY" && !text.startsWith("--from="))
    .flatMap(({ text }) => text.split(/\s+/).slice(0, -1));
