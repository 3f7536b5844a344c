// The memory store against the contract of stores.
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../mesh/kvstore/memory-store.ts";
import { describeStore } from "./store.ts";

describeStore("createMemoryStore()", async () => {
  const etcd = new MemoryEtcd();
  const stores: MemoryStore[] = [];
  return {
    open() {
      const store = createMemoryStore(etcd);
      stores.push(store);
      return store;
    },
    async disconnect() {
      for (const store of stores) store.disconnect();
    },
    async reconnect() {
      for (const store of stores) store.reconnect();
    },
    async compact() {
      etcd.compact();
    },
    async wipe() {
      etcd.wipe();
    },
    async close() {
      for (const store of stores) store.close();
    },
  };
});
