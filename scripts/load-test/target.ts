/**
 * What a load test asks of the server beside publishing and subscribing: is it there, and which subjects has it?
 * @module
 */

/** Why the server cannot be used; the message is for people. */
export class TargetError extends Error {
  override readonly name = "TargetError";
}

/** A subject as the server lists it. */
export interface ListedSubject {
  readonly subject: string;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly messages: number;
  readonly bytes: number;
}

const answerMsMax = 10_000;
const listingMax = 10_000;

/** Where WebSockets connect to. */
export const wsUrl = (url: string): URL => new URL("/v1/ws", url);

const get = async (url: URL): Promise<unknown> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(answerMsMax) });
  if (!response.ok) throw new TargetError(`${url.href} answered ${response.status}`);
  return response.json();
};

/** @throws TargetError when nobody answers, or not as this server does */
export const checkTarget = async (url: string): Promise<void> => {
  const health = new URL("/healthz", url);
  try {
    const response = await fetch(health, { signal: AbortSignal.timeout(answerMsMax) });
    if (response.ok) return;
    throw new TargetError(`${health.href} answered ${response.status}; is that a MiniToolStream server?`);
  } catch (error) {
    if (error instanceof TargetError) throw error;
    throw new TargetError(`nothing answers at ${url}; start a server there, or leave --url out to have one started`);
  }
};

/** All subjects that match a filter. @throws TargetError */
export const listSubjects = async (url: string, filter: string): Promise<readonly ListedSubject[]> => {
  const listed: ListedSubject[] = [];
  for (let after: string | undefined = ""; after !== undefined; ) {
    const query = new URLSearchParams({ filter, limit: String(listingMax), ...(after === "" ? {} : { after }) });
    const page = (await get(new URL(`/v1/subjects?${query.toString()}`, url))) as {
      readonly subjects: readonly ListedSubject[];
      readonly has_more: boolean;
    };
    listed.push(...page.subjects);
    after = page.has_more ? page.subjects.at(-1)?.subject : undefined;
  }
  return listed;
};
