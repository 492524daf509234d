/**
 * Events and questions for the tests of GraphQL.
 * @module
 */
import type { RawFrame } from "../raw-ws.ts";
import { RawWs } from "../raw-ws.ts";
import type { TestServer } from "../server.ts";

type Headers = Readonly<Record<string, string>>;

/** What an answer of GraphQL says. */
export interface Answer {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly unknown[];
    readonly extensions: Readonly<Record<string, unknown>>;
  }[];
}

/** An event as it is published. */
export interface EventBody {
  readonly user_id: string;
  readonly event_type: "purchase" | "return" | "refund";
  readonly amount: number;
  readonly timestamp: string;
}

/** An event of some user; amounts tell them apart. */
export const eventBody = (amount: number, event: Partial<EventBody> = {}): EventBody => ({
  user_id: "user123",
  event_type: "purchase",
  amount,
  timestamp: "2024-01-15T10:30:00Z",
  ...event,
});

/** Publishes events as the messages that they are; resolves when all are stored. */
export const publishEvents = async (
  { url }: Pick<TestServer, "url">,
  events: readonly EventBody[],
  headers: Headers = {},
): Promise<void> => {
  const messages = events.map((event) => ({ subject: `events.${event.event_type}`, data: JSON.stringify(event) }));
  const response = await fetch(`${url}/v1/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ messages }),
  });
  const text = await response.text();
  if (response.status !== 200 || text.includes(`"error"`)) throw new Error(`not published: ${text.slice(0, 500)}`);
};

/** `http://…/graphql`. */
export const graphqlUrl = ({ url }: Pick<TestServer, "url">): string => `${url}/graphql`;

/** `ws://…/graphql`. */
export const graphqlWsUrl = (server: Pick<TestServer, "url">): string => graphqlUrl(server).replace(/^http/, "ws");

/** Sends a question as JSON. */
export const post = (
  server: Pick<TestServer, "url">,
  query: string,
  { variables, headers = {} }: { readonly variables?: object; readonly headers?: Headers } = {},
): Promise<Response> =>
  fetch(graphqlUrl(server), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query, variables }),
  });

/** Asks; the answer as it is. */
export const ask = async (...question: Parameters<typeof post>): Promise<Answer> =>
  (await (await post(...question)).json()) as Answer;

/** The code of the first error. */
export const codeOf = ({ errors }: Answer): unknown => errors?.[0]?.extensions["code"];

/** A message of graphql-transport-ws. */
export type Message = Readonly<Record<string, unknown>>;

/** A socket of the protocol without a client in between. */
export class ProtocolSocket {
  private constructor(readonly raw: RawWs) {}

  /** Opens one and says nothing. */
  static async open(server: Pick<TestServer, "url">): Promise<ProtocolSocket> {
    return new ProtocolSocket(await RawWs.connect(graphqlWsUrl(server), "graphql-transport-ws"));
  }

  /** Opens one that is let in. */
  static async ready(server: Pick<TestServer, "url">, payload?: Message): Promise<ProtocolSocket> {
    const socket = await ProtocolSocket.open(server);
    socket.send({ type: "connection_init", payload });
    const answer = await socket.next();
    if (answer["type"] !== "connection_ack") throw new Error(`not let in: ${JSON.stringify(answer)}`);
    return socket;
  }

  send(message: Message | string): void {
    this.raw.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Subscribes, and resolves when the subscription is live. */
  async subscribe(id: string, query: string): Promise<void> {
    this.send({ id, type: "subscribe", payload: { query } });
    this.send({ type: "ping", payload: { id } });
    const answer = await this.next();
    if (answer["type"] !== "pong") throw new Error(`not live: ${JSON.stringify(answer)}`);
  }

  /** The next message. @throws Error when the socket is closed before */
  async next(): Promise<Message> {
    const message = await this.raw.nextMessage();
    if (message === undefined) throw new Error("the socket was closed");
    return JSON.parse(message.toString("utf8")) as Message;
  }

  /** Code and reason of the close; messages before it are passed over. */
  async closed(): Promise<{ readonly code: number; readonly reason: string }> {
    for (;;) {
      const frame: RawFrame | undefined = await this.raw.next();
      if (frame === undefined) throw new Error("the socket ended without a close");
      if (frame.opcode !== 8) continue;
      return { code: frame.payload.readUInt16BE(0), reason: frame.payload.toString("utf8", 2) };
    }
  }
}
