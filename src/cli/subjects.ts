/**
 * `subjects`: the listing, all of it.
 * @module
 */
import { CliFailure, type Command } from "./command.ts";
import { HttpApi, type View } from "./http.ts";
import { serverOf } from "./server.ts";
import { Table } from "./table.ts";

/** Subjects asked for at a time. */
const pageMax = 1000;

const columns = ["subject", "first_sequence", "last_sequence", "messages", "bytes"] as const;
const titles = ["SUBJECT", "FIRST", "LAST", "MESSAGES", "BYTES"] as const;

export const subjectsCommand: Command = {
  name: "subjects",
  usage: "[FILTER] [--json]",
  summary: "list subjects: first and last sequence, messages, bytes",
  details: "FILTER is a subject, in which * stands for one token and a last > for one or more; default all.",
  operands: { min: 0, max: 1 },
  options: { json: { kind: "flag", meaning: "print a JSON object for each subject" } },
  run: async (given, io) => {
    const api = new HttpApi(serverOf(given, io), io.stop);
    const table = new Table(titles);
    for await (const subjects of listing(api, given.operands[0] ?? ">")) {
      const lines = given.flag("json")
        ? subjects.map((subject) => JSON.stringify(subject))
        : table.lines(subjects.map((subject) => columns.map((column) => String(subject[column]))));
      await io.stdout.write(lines.map((line) => `${line}\n`).join(""));
    }
    return 0;
  },
};

async function* listing(api: HttpApi, filter: string): AsyncGenerator<readonly View[], void> {
  let after = "";
  for (;;) {
    const query = new URLSearchParams({ filter, limit: String(pageMax), ...(after !== "" && { after }) });
    const page = await api.request(`/v1/subjects?${query.toString()}`);
    const subjects = viewsIn(page, "subjects");
    yield subjects;
    const last = subjects.at(-1)?.["subject"];
    if (page["has_more"] !== true || typeof last !== "string") return;
    after = last;
  }
}

/** A list of objects inside an answer. @throws CliFailure */
export const viewsIn = (view: View, field: string): readonly View[] => {
  const list = view[field];
  if (!Array.isArray(list)) throw new CliFailure(`the server's answer has no ${field}; check --url`);
  return list.filter((entry): entry is View => typeof entry === "object" && entry !== null);
};
