/**
 * What the GraphQL subscriptions are measured against. `bare`: Bun alone, which sends prepared frames to all sockets and
 * knows nothing of GraphQL. `graphql-ws`: the reference server of the protocol with graphql-js, one execution a
 * subscriber. Neither stores anything. Prints its URL; takes events as `POST /events`.
 * @module
 */
import { buildSchema } from "graphql";
import { makeHandler } from "graphql-ws/use/bun";

/** One who listens. */
type Listener = (event: Readonly<Record<string, unknown>>) => void;

const listeners = new Set<Listener>();
const sequences: Record<string, number> = {};

const take = async (request: Request): Promise<Response> => {
  const body = (await request.json()) as { user_id: string; event_type: string; amount: number; timestamp: string };
  const sequence = (sequences[body.event_type] ?? 0) + 1;
  sequences[body.event_type] = sequence;
  const event = {
    id: `${body.event_type}-${sequence}`,
    userId: body.user_id,
    eventType: body.event_type,
    amount: body.amount,
    timestamp: body.timestamp,
  };
  for (const listener of listeners) listener(event);
  return new Response(null, { status: 201 });
};

/** Answers the messages of the protocol as far as the benchmark's clients need it. */
const bare = () =>
  Bun.serve<{ stop?: () => void }>({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, server) => {
      if (request.method === "POST") return take(request);
      const headers = { "sec-websocket-protocol": "graphql-transport-ws" };
      return server.upgrade(request, { data: {}, headers }) ? undefined : new Response(null, { status: 400 });
    },
    websocket: {
      perMessageDeflate: false,
      message: (socket, text) => {
        const { type, id } = JSON.parse(String(text)) as { type: string; id?: string };
        if (type === "connection_init") socket.sendText(`{"type":"connection_ack"}`);
        if (type === "ping") socket.sendText(`{"type":"pong"}`);
        if (type !== "subscribe") return;
        const head = `{"id":"${id ?? ""}"`;
        let prepared: unknown;
        let tail = "";
        const listener: Listener = (event) => {
          if (prepared !== event) {
            prepared = event;
            tail = `,"type":"next","payload":${JSON.stringify({ data: { eventStream: event } })}}`;
          }
          socket.sendText(head + tail);
        };
        listeners.add(listener);
        socket.data.stop = () => listeners.delete(listener);
      },
      close: (socket) => socket.data.stop?.(),
    },
  });

const schema = buildSchema(`
  type Event { id: ID! userId: String! eventType: String! amount: Float! timestamp: String! }
  type Query { _: Int }
  type Subscription { eventStream: Event! }
`);

/** Events as an async iterable, as a schema's resolver has them. */
async function* eventStream(): AsyncGenerator<{ readonly eventStream: unknown }, void> {
  const waiting: unknown[] = [];
  let wake: (() => void) | undefined;
  const listener: Listener = (event) => {
    waiting.push(event);
    wake?.();
  };
  listeners.add(listener);
  try {
    for (;;) {
      const event = waiting.shift();
      if (event !== undefined) yield { eventStream: event };
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    listeners.delete(listener);
  }
}

const reference = () => {
  const field = schema.getSubscriptionType()?.getFields()["eventStream"];
  if (field !== undefined) field.subscribe = () => eventStream();
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, server) => {
      if (request.method === "POST") return take(request);
      const headers = { "sec-websocket-protocol": "graphql-transport-ws" };
      return server.upgrade(request, { data: undefined, headers }) ? undefined : new Response(null, { status: 400 });
    },
    websocket: makeHandler({ schema }) as never,
  });
};

const server = Bun.argv[2] === "graphql-ws" ? reference() : bare();
process.stdout.write(`http://127.0.0.1:${server.port}\n`);
