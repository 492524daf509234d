/**
 * Retention policies of a server under test, and what is waited for while they work.
 * @module
 */
import { HttpClient } from "./http-client.ts";

/** The fields of a policy as a client writes them. */
export interface PolicyBody {
  readonly max_age?: string | null;
  readonly max_messages?: number | null;
  readonly max_bytes?: number | string | null;
  readonly discard?: "old" | "new";
  readonly retain?: "limits" | "acked";
  readonly recipients?: readonly string[] | number;
  readonly recipient_timeout?: string;
}

/** The path of a filter's policy. */
export const policyPath = (filter: string): string => `/v1/policies/${encodeURIComponent(filter)}`;

/** Sets a policy; answers whether the filter had none before. @throws ClientError */
export const putPolicy = async (url: string, filter: string, policy: PolicyBody): Promise<boolean> => {
  const response = await new HttpClient(url).call("PUT", policyPath(filter), {
    headers: { "content-type": "application/json" },
    body: JSON.stringify(policy),
  });
  await response.bytes();
  return response.status === 201;
};

/** Looks again and again until it is so; the test's own time limit ends it otherwise. */
export const until = async <T>(look: () => Promise<T>, isSo: (found: T) => boolean): Promise<T> => {
  for (;;) {
    const found = await look();
    if (isSo(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/** One figure of the metrics page, summed over its labels. */
export const metric = async (url: string, name: string): Promise<number> => {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
};
