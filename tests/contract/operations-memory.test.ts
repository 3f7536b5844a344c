// The operations plane in memory against the contract.
import { systemClock } from "../../mesh/core/clock.ts";
import { createMemoryConnection, MemoryBroker } from "../fakes/operations.ts";
import { describeOperations } from "./operations.ts";

describeOperations("createMemoryConnection()", async () => {
  const broker = new MemoryBroker(systemClock);
  return {
    open: () => createMemoryConnection(broker),
    async disconnect() {
      broker.isUp = false;
    },
    async reconnect() {
      broker.isUp = true;
    },
    async close() {},
  };
});
