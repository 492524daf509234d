import { expect, test } from "bun:test";
import { parseOptions } from "./options.ts";

const names = ["one", "two", "three"];
const parse = (...argv: string[]) => parseOptions(argv, names);

test("without options everything is measured three times, and once when it has to be quick", () => {
  const options = { only: names, quick: false, json: false, rounds: 3, dataDir: undefined };
  expect(parse()).toEqual({ kind: "run", options });
  expect(parse("--quick")).toEqual({ kind: "run", options: { ...options, quick: true, rounds: 1 } });
});

test("some scenarios, in the order of the table", () => {
  expect(parse("--only", "three,one", "--rounds", "5")).toMatchObject({
    options: { only: ["one", "three"], rounds: 5 },
  });
});

test("what is wrong is named, all of it at once", () => {
  expect(parse("--only", "one,four", "--rounds", "0")).toEqual({
    kind: "wrong",
    errors: ['--only: there is no "four"; there is one, two, three', "--rounds must be a whole number from 1 to 100"],
  });
  expect(parse("--fast")).toMatchObject({ kind: "wrong" });
});
