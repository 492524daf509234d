/**
 * A server whose stores do not let it in: it ends at once and names the setting that has the wrong password, without
 * repeating the password.
 * @module
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { makeFolder } from "../faults/folder.ts";
import { ServerProcess, StartRefusedError } from "../faults/process.ts";
import type { Backends } from "./cluster.ts";
import { useBackends } from "./use-cluster.ts";

setDefaultTimeout(30_000);

const backends = useBackends();
const wrong = "not-the-password";

const withPassword = (url: string, password: string): string => {
  const changed = new URL(url.replace(/^[a-z0-9]+:/, "http:"));
  changed.password = password;
  return changed.href.replace(/^http:/, url.slice(0, url.indexOf(":") + 1));
};

test.each([
  ["MTS_METADATA_URL", (stores: Backends) => stores.metadataUrl(), "wrong user or password"],
  ["MTS_BODIES_URL", (stores: Backends) => stores.bodiesUrl(), "check its keys"],
] as const)("a wrong password in %s", async (setting, urlOf, reason) => {
  await using folder = await makeFolder();
  const env = { ...backends().env(), [setting]: withPassword(urlOf(backends()), wrong) };
  const prefix = ["env", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const refused: unknown = await ServerProcess.start({ dataDir: folder.path, prefix }).catch((error: unknown) => error);
  if (refused instanceof ServerProcess) await refused.kill("SIGKILL");
  if (!(refused instanceof StartRefusedError)) throw new Error("it started");
  expect(refused.exit.code).toBe(1);
  expect(refused.stderr).toContain(`${setting}: `);
  expect(refused.stderr).toContain(reason);
  expect(refused.stderr).not.toContain(wrong);
});
