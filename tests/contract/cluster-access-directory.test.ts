// Access through a directory, against the contract of cluster access.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openClusterAccess } from "../../mesh/connect/context-access.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createTestCluster, readTree } from "../fakes/cluster.ts";
import { describeClusterAccess } from "./cluster-access.ts";

describeClusterAccess("openClusterAccess()", async () => {
  const east = await createTestCluster({ name: "east", id: 1 });
  const { directory } = east;
  const open = () =>
    openClusterAccess(
      { context: "east", directory },
      { clock: systemClock, random: Math.random, log: silentLogger },
    );
  return {
    access: open(),
    other: open(),
    contents: () => readTree(directory),
    mark: () => writeFile(join(directory, "peers", "west", "notes.txt"), "of somebody else"),
    async empty() {
      await rm(join(directory, "peers"), { recursive: true, force: true });
      await rm(join(directory, "remote-users.yaml"), { force: true });
    },
    close: () => east.close(),
  };
});
