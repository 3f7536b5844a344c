// The etcd store, on a real etcd, against the contract of stores.
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createEtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { startTestEtcd } from "../fakes/etcd.ts";
import { startTcpProxy } from "../fakes/proxy.ts";
import { describeStore } from "./store.ts";

describeStore("createEtcdStore()", async () => {
  const etcd = await startTestEtcd();
  const proxy = await startTcpProxy({ targetPort: etcd.port });
  return {
    open: () =>
      createEtcdStore({
        endpoints: [`127.0.0.1:${proxy.port}`],
        tls: undefined,
        clock: systemClock,
        random: Math.random,
        log: silentLogger,
      }),
    disconnect: () => proxy.refuse(),
    reconnect: () => proxy.pass(),
    compact: () => etcd.compact(),
    wipe: () => etcd.wipe(),
    async close() {
      await proxy.close();
      await etcd.close();
    },
  };
});
