/**
 * Where in the console somebody is: the part of the address behind `#`, so that every place can be linked to.
 * @module
 */

/** A place: its path, one decoded segment each, and its parameters. */
export interface Route {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

const decoded = (segment: string): string => {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
};

/** Reads `#/subjects/orders.eu?from=3`. */
export const parseRoute = (hash: string): Route => {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
};

/** Writes it; parameters that are empty or undefined are left out. */
export const routeTo = (
  path: readonly (string | number)[],
  query: Readonly<Record<string, string | number | undefined>> = {},
): string => {
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(kept.map(([name, value]): [string, string] => [name, String(value)])).toString();
  return `#/${path.map((segment) => encodeURIComponent(segment)).join("/")}${text === "" ? "" : `?${text}`}`;
};
