/**
 * The files of the console as a browser gets them: its page, style sheet and icon as they lie in `page/`, its scripts
 * bundled from there.
 * @module
 */
import { join } from "node:path";

const folder = join(import.meta.dir, "page");

/** One file, ready to be sent. */
export interface ConsoleFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
  /** Strong, of its content. */
  readonly etag: string;
}

/** The names under which files are served. */
export const fileNames = ["index.html", "app.js", "theme.js", "style.css", "icon.svg"] as const;

/** One of them. */
export type ConsoleFileName = (typeof fileNames)[number];

const contentTypes: Readonly<Record<ConsoleFileName, string>> = {
  "index.html": "text/html; charset=utf-8",
  "app.js": "text/javascript; charset=utf-8",
  "theme.js": "text/javascript; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml",
};

/** All of them by name. */
export type ConsoleFiles = Readonly<Record<ConsoleFileName, ConsoleFile>>;

/** Reads and bundles everything: some tens of milliseconds. @throws AggregateError when a module does not build */
export const bundleConsole = async (): Promise<ConsoleFiles> => {
  const built = await Bun.build({
    entrypoints: [join(folder, "app.ts"), join(folder, "theme.ts")],
    target: "browser",
    format: "iife",
    minify: true,
  });
  const scripts = new Map(built.outputs.map((output) => [output.path.replace(/^.*[/\\]/, ""), output]));
  const file = async (name: ConsoleFileName): Promise<ConsoleFile> => {
    const bytes = new Uint8Array(await (scripts.get(name) ?? Bun.file(join(folder, name))).arrayBuffer());
    const etag = `"${new Bun.CryptoHasher("sha256").update(bytes).digest("hex").slice(0, 32)}"`;
    return { bytes, contentType: contentTypes[name], etag };
  };
  return {
    "index.html": await file("index.html"),
    "app.js": await file("app.js"),
    "theme.js": await file("theme.js"),
    "style.css": await file("style.css"),
    "icon.svg": await file("icon.svg"),
  };
};
