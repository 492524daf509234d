/**
 * Who may import whom: core <- codec <- contracts <- (drivers | actors, broker, upkeep) <- transports <- main. A new
 * file that fits no layer fails too, so that its place is thought about once.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** One import of one file. `to` is a path from the repository's root, or a package as it was written. */
export interface Import {
  readonly from: string;
  readonly to: string;
  /** Gone at run time. */
  readonly typeOnly: boolean;
}

const testing = "testing";

/** Layers by path, first match counts. `$1` and `$2` tell the drivers and the transports from each other. */
const layers: readonly (readonly [RegExp, string])[] = [
  [/^src\/testing\/|\.test\.ts$|^src\/(?:metadata|bodies)\/cases(?:\.ts$|\/)/, testing],
  [/^src\/core\//, "core"],
  [/^src\/codec\//, "codec"],
  [/^src\/(metadata|bodies|broker|auth)\/contract\.ts$/, "contract:$1"],
  // What drivers of bodies share is no more than the contract itself may be.
  [/^src\/bodies\/(?:spans|chunks|uploads|until-aborted)\.ts$/, "contract:bodies"],
  [/^src\/bodies\/verified\.ts$/, "verified"],
  [/^src\/(metadata|bodies)\/([^/]+)\//, "driver:$1/$2"],
  [/^actors\//, "actors"],
  [/^src\/broker\//, "broker"],
  [/^src\/upkeep\//, "upkeep"],
  [/^src\/hub\//, "hub"],
  [/^src\/auth\//, "auth"],
  // What of the console runs in a browser.
  [/^src\/transport\/console\/page\//, "page"],
  [/^src\/transport\/([^/]+)\//, "transport:$1"],
  [/^src\/client\//, "client"],
  [/^src\/cli\//, "cli"],
  [/^src\/main\.ts$/, "main"],
  [/^src\/stores\.ts$/, "stores"],
  // What the composition root is made of: configuration, log, metrics.
  [/^src\/(?:[^/]+\.ts$|metrics\/)/, "root"],
];

/** The layer of a file, or undefined when it has none. */
const layerOf = (path: string): string | undefined => {
  for (const [pattern, layer] of layers) {
    const match = pattern.exec(path);
    if (match !== null) return layer.replaceAll(/\$(\d)/g, (_, group: string) => match[Number(group)] ?? "");
  }
  return undefined;
};

const contracts = ["contract:metadata", "contract:bodies", "contract:broker"];

/** What a layer may import beside itself; a name without its `:…` part stands for all of its kind. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  core: [],
  codec: ["core"],
  contract: ["core", "codec", ...contracts],
  verified: ["core", "codec", "contract:bodies"],
  driver: ["core", "codec", "contract:metadata", "contract:bodies"],
  actors: ["core", "codec", ...contracts, "verified"],
  broker: ["core", "codec", ...contracts, "verified", "actors"],
  upkeep: ["core", "codec", ...contracts, "verified", "actors", "broker"],
  auth: ["core", "codec", "contract:broker", "contract:auth"],
  // The Event Hub's verbs over the stream's.
  hub: ["core", "codec", "contract:broker"],
  transport: ["core", "codec", "contract:broker", "contract:auth", "hub"],
  client: ["core", "codec"],
  page: ["core", "codec", "client"],
  // The doctor and the sweep work on the stores of a stopped server, `serve` is the server.
  cli: [
    "core",
    "codec",
    "auth",
    "contract:metadata",
    "contract:bodies",
    "verified",
    "upkeep",
    "client",
    "stores",
    "main",
    "root",
  ],
  root: ["core", "codec", ...contracts, "auth", "actors", "broker", "upkeep"],
  stores: ["core", "codec", "contract:metadata", "contract:bodies", "driver", "root"],
  main: [
    "core",
    "codec",
    ...contracts,
    "verified",
    "actors",
    "broker",
    "upkeep",
    "hub",
    "auth",
    "contract:auth",
    "transport",
    "stores",
    "root",
  ],
};

/** Packages that only some layers may name: stores are the drivers' own affair, the web framework the transports'. */
const packageOwners: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^(?:minio|tarantool-driver)(?:\/|$)/, ["driver"]],
  [/^bun:sqlite$/, ["driver", "root"]],
  [/^(?:elysia|@elysiajs\/.*|swagger-ui-dist)(?:\/|$)/, ["transport"]],
  [/^(?:graphql|graphql-yoga|@graphql-yoga\/.*)(?:\/|$)/, ["transport"]],
  [/^jose$/, ["auth"]],
  [/^(?:@grpc\/.*|@connectrpc\/.*|@bufbuild\/.*|protobufjs)(?:\/|$)/, ["transport"]],
  [/^bun:test$/, []],
];

const isServerOnly = (name: string): boolean => /^(?:bun|bun:.*|node:.*)$/.test(name);

const kindOf = (layer: string): string => layer.replace(/:.*/, "");

/** Every import that breaks a rule, as `from -> to: why`. Pure; what the test below is, and what the cases check. */
export const wrongImports = (imports: readonly Import[]): readonly string[] => [
  ...imports.flatMap((edge) => {
    const why = whyWrong(edge);
    return why === undefined ? [] : [`${edge.from} -> ${edge.to}: ${why}`];
  }),
  ...serverOnlyUnderClient(imports),
];

const whyWrong = ({ from, to, typeOnly }: Import): string | undefined => {
  const layer = layerOf(from);
  if (layer === undefined) return "the importing file has no layer; give it one in src/imports.test.ts";
  if (layer === testing) return undefined;
  const kind = kindOf(layer);
  const isFile = /^(?:src|actors|scripts)\//.test(to);
  if (!isFile) {
    const owners = packageOwners.find(([pattern]) => pattern.test(to))?.[1];
    if (owners !== undefined && !owners.includes(kind)) return `a package of ${owners.join(", ") || "tests"} only`;
    return kind === "core" && !isServerOnly(to) ? "core needs no package" : undefined;
  }
  const target = layerOf(to);
  if (target === undefined) return "the imported file has no layer; give it one in src/imports.test.ts";
  // The shapes a codec writes are the broker's; at run time it knows nothing of it.
  if (layer === "codec" && target === "contract:broker" && typeOnly) return undefined;
  const targets = allowed[kind] ?? [];
  if (target === layer || targets.includes(target) || targets.includes(kindOf(target))) return undefined;
  return `${layer} must not import ${target}`;
};

const isForBrowsers = (file: string): boolean => ["client", "page"].includes(layerOf(file) ?? "");

/** The client and the console's page run in browsers: nothing they reach may be a module of Bun or Node. */
const serverOnlyUnderClient = (imports: readonly Import[]): readonly string[] => {
  const atRunTime = imports.filter(({ typeOnly }) => !typeOnly);
  const pending = [...new Set(atRunTime.map(({ from }) => from).filter(isForBrowsers))];
  const reached = new Set(pending);
  const wrong: string[] = [];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    for (const { from, to } of atRunTime) {
      if (from !== file) continue;
      if (isServerOnly(to))
        wrong.push(`${from} -> ${to}: src/client or the console's page reaches it, and it is not there in a browser`);
      if (reached.has(to)) continue;
      reached.add(to);
      pending.push(to);
    }
  }
  return wrong;
};

/** Every import, export-from, dynamic import and import type of a source text. */
const importsOf = (path: string, text: string): readonly Import[] => {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const name = specifier.text;
    found.push({ from: path, to: name.startsWith(".") ? join(path, "..", name) : name, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnlyImport(node.importClause));
    if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly || hasOnlyTypes(node.exportClause));
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    if (ts.isCallExpression(node) && (node.expression.kind === ts.SyntaxKind.ImportKeyword || isRequire(node))) {
      add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ESNext));
  return found;
};

const isRequire = (call: ts.CallExpression): boolean =>
  ts.isIdentifier(call.expression) && call.expression.text === "require";

const isTypeOnlyImport = (clause: ts.ImportClause | undefined): boolean =>
  clause !== undefined &&
  (clause.phaseModifier === ts.SyntaxKind.TypeKeyword ||
    (clause.name === undefined && hasOnlyTypes(clause.namedBindings)));

const hasOnlyTypes = (names: ts.NamedImportBindings | ts.NamedExportBindings | undefined): boolean =>
  names !== undefined &&
  (ts.isNamedImports(names) || ts.isNamedExports(names)) &&
  names.elements.length > 0 &&
  names.elements.every((element) => element.isTypeOnly);

const root = join(import.meta.dir, "..");

test("no file imports what its layer may not", () => {
  const files = [...new Bun.Glob("{src,actors}/**/*.{ts,tsx}").scanSync({ cwd: root })];
  const imports = files.flatMap((file) => importsOf(file, readFileSync(join(root, file), "utf8")));
  // That the walk found something: the broker is nothing without the core.
  expect(imports.some(({ from, to }) => from === "src/broker/contract.ts" && to === "src/core/message.ts")).toBe(true);
  expect(wrongImports(imports)).toEqual([]);
});

describe("a wrong edge is found", () => {
  test.each([
    ["src/core/subject.ts", "src/codec/json.ts"],
    ["src/core/subject.ts", "msgpackr"],
    ["src/codec/json.ts", "src/broker/contract.ts"],
    ["src/codec/json.ts", "src/metadata/contract.ts"],
    ["src/broker/contract.ts", "src/broker/index.ts"],
    ["src/metadata/sqlite/index.ts", "src/metadata/tarantool/index.ts"],
    ["src/metadata/sqlite/index.ts", "src/bodies/files/index.ts"],
    ["src/bodies/files/index.ts", "src/bodies/verified.ts"],
    ["src/bodies/files/index.ts", "src/broker/index.ts"],
    ["src/bodies/verified.ts", "src/bodies/files/index.ts"],
    ["actors/committer.ts", "src/metadata/sqlite/index.ts"],
    ["actors/committer.ts", "bun:sqlite"],
    ["actors/committer.ts", "src/broker/index.ts"],
    ["src/broker/index.ts", "src/bodies/files/index.ts"],
    ["src/broker/index.ts", "src/transport/http/index.ts"],
    ["src/broker/index.ts", "elysia"],
    ["src/upkeep/orphans.ts", "src/bodies/files/names.ts"],
    ["src/transport/http/index.ts", "src/transport/ws/index.ts"],
    ["src/transport/http/index.ts", "src/broker/index.ts"],
    ["src/transport/http/index.ts", "src/metadata/contract.ts"],
    ["src/transport/ws/index.ts", "src/config.ts"],
    ["src/transport/ws/index.ts", "actors/actor.ts"],
    ["src/config.ts", "src/metadata/sqlite/index.ts"],
    ["src/cli/bench.ts", "src/broker/index.ts"],
    ["src/cli/doctor.ts", "src/metadata/sqlite/index.ts"],
    ["src/main.ts", "src/metadata/sqlite/index.ts"],
    ["src/stores.ts", "src/broker/index.ts"],
    ["src/broker/index.ts", "src/main.ts"],
    ["src/main.ts", "src/testing/server.ts"],
    ["src/broker/index.ts", "src/metadata/cases.ts"],
    ["src/broker/index.ts", "bun:test"],
    ["src/client/index.ts", "src/broker/contract.ts"],
    ["src/client/index.ts", "node:buffer"],
    ["src/transport/console/page/app.ts", "node:buffer"],
    ["src/transport/console/page/app.ts", "src/transport/console/index.ts"],
    ["src/transport/console/index.ts", "src/transport/console/page/app.ts"],
    ["src/new-folder/index.ts", "src/core/subject.ts"],
    ["src/core/subject.ts", "src/new-folder/index.ts"],
  ])("%s -> %s", (from, to) => {
    const wrong = wrongImports([{ from, to, typeOnly: false }]);
    expect(wrong).toHaveLength(1);
    expect(wrong[0]).toStartWith(`${from} -> ${to}: `);
  });

  test("a type is an import too, but the codec may name the broker's shapes", () => {
    const edge = { from: "src/broker/index.ts", to: "src/bodies/files/index.ts", typeOnly: true };
    expect(wrongImports([edge])).toHaveLength(1);
    expect(wrongImports([{ from: "src/codec/view.ts", to: "src/broker/contract.ts", typeOnly: true }])).toEqual([]);
    expect(wrongImports([{ from: "src/codec/view.ts", to: "src/broker/index.ts", typeOnly: true }])).toHaveLength(1);
  });

  test("what the client reaches by way of others counts as its own", () => {
    const edges = [
      { from: "src/client/index.ts", to: "src/codec/json.ts", typeOnly: false },
      { from: "src/codec/json.ts", to: "node:buffer", typeOnly: false },
      { from: "src/codec/other.ts", to: "node:fs", typeOnly: false },
    ];
    expect(wrongImports(edges)).toEqual([
      "src/codec/json.ts -> node:buffer: src/client or the console's page reaches it, and it is not there in a browser",
    ]);
  });
});

describe("a right edge is let through", () => {
  test.each([
    ["src/stores.ts", "src/metadata/sqlite/index.ts"],
    ["src/main.ts", "src/stores.ts"],
    ["src/cli/main.ts", "src/main.ts"],
    ["src/cli/doctor.ts", "src/stores.ts"],
    ["src/main.ts", "src/transport/http/index.ts"],
    ["src/broker/index.ts", "actors/committer.ts"],
    ["src/broker/index.ts", "src/bodies/verified.ts"],
    ["src/bodies/files/index.ts", "src/bodies/files/io.ts"],
    ["src/metadata/sqlite/index.ts", "bun:sqlite"],
    ["src/transport/http/index.ts", "elysia"],
    ["src/transport/http/index.ts", "src/broker/contract.ts"],
    ["src/broker/index.test.ts", "src/bodies/files/index.ts"],
    ["src/core/subject.ts", "node:buffer"],
  ])("%s -> %s", (from, to) => {
    expect(wrongImports([{ from, to, typeOnly: false }])).toEqual([]);
  });
});

test("every way to import is read", () => {
  const text = `
    import "./a.ts";
    import type { B } from "./b.ts";
    import { type C } from "./c.ts";
    import d, { type D } from "./d.ts";
    export * from "./e.ts";
    export type { F } from "./f.ts";
    const g = await import("./g.ts");
    type H = import("./h.ts").H;
    const i = require("../core/i.ts");
    import j from "pkg/j";
    const k = "import './k.ts'"; // import "./l.ts"
  `;
  expect(importsOf("src/codec/x.ts", text).map(({ to, typeOnly }) => `${to}${typeOnly ? " (type)" : ""}`)).toEqual([
    "src/codec/a.ts",
    "src/codec/b.ts (type)",
    "src/codec/c.ts (type)",
    "src/codec/d.ts",
    "src/codec/e.ts",
    "src/codec/f.ts (type)",
    "src/codec/g.ts",
    "src/codec/h.ts (type)",
    "src/core/i.ts",
    "pkg/j",
  ]);
});
