// A connection to an etcd that answers as a test says: for what a real etcd does rarely, or never
// at the right moment. Streams are driven by hand.
import type { EtcdConnection, EtcdStream, UnaryCall } from "../../mesh/kvstore/etcd-connection.ts";

export interface FakeStream {
  readonly service: string;
  readonly written: unknown[];
  cancelled: boolean;
  send(response: unknown): void;
  fail(error: unknown): void;
}

export interface FakeConnection extends EtcdConnection {
  readonly calls: UnaryCall[];
  readonly streams: FakeStream[];
}

/** `answer` returns a response, or throws, for each call. */
export function createFakeConnection(answer: (call: UnaryCall) => unknown): FakeConnection {
  const calls: UnaryCall[] = [];
  const streams: FakeStream[] = [];
  return {
    calls,
    streams,
    async call<Response>(call: UnaryCall) {
      calls.push(call);
      return answer(call) as Response;
    },
    async openStream<Request, Response>({ service }: { service: string }) {
      const onData: ((response: Response) => void)[] = [];
      const onError: ((error: unknown) => void)[] = [];
      const fake: FakeStream = {
        service,
        written: [],
        cancelled: false,
        send: (response) => {
          for (const listener of onData) listener(response as Response);
        },
        fail: (error) => {
          for (const listener of onError) listener(error);
        },
      };
      streams.push(fake);
      const on = (event: string, listener: (value: never) => void): void => {
        if (event === "data") onData.push(listener as (response: Response) => void);
        if (event === "error") onError.push(listener as (error: unknown) => void);
      };
      const stream: EtcdStream<Request, Response> = {
        write: (request) => void fake.written.push(request),
        end() {},
        cancel: () => {
          fake.cancelled = true;
        },
        on,
      };
      return stream;
    },
    refreshTls: async () => false,
    close() {},
  };
}

export function header(
  revision: number,
  clusterId = "1",
): { cluster_id: string; revision: string } {
  return { cluster_id: clusterId, revision: String(revision) };
}
