// Writes to an etcd that is only reachable inside a network namespace, and ends. Its argument is
// the connection as JSON, its standard input the operations, values in base64.
import { text } from "node:stream/consumers";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createEtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import type { StoreOperation } from "../../mesh/kvstore/store.ts";
import type { TlsFiles } from "../../mesh/kvstore/tls.ts";

export interface AgentWriterTarget {
  readonly endpoint: string;
  readonly tls: TlsFiles;
  readonly serverName: string;
}

interface WrittenOperation {
  readonly kind: "put" | "delete";
  readonly key: string;
  readonly value: string;
}

const target = JSON.parse(process.argv[2] ?? "") as AgentWriterTarget;
const written = JSON.parse(await text(process.stdin)) as WrittenOperation[];
const operations = written.map(({ kind, key, value }): StoreOperation =>
  kind === "put" ? { kind, key, value: Buffer.from(value, "base64") } : { kind, key },
);
const store = createEtcdStore({
  ...target,
  endpoints: [target.endpoint],
  clock: systemClock,
  random: Math.random,
  log: silentLogger,
});
await store.commit(operations, new AbortController().signal);
store.close();
