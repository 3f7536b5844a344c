import { describe, expect, test } from "@jest/globals";
import { createTable } from "../../../../mesh/core/table.ts";
import { followPeers, followTable } from "../../../../agent/desired/follow.ts";
import type { PeerIntent } from "../../../../agent/intent/intent.ts";
import { WEST } from "../../../fakes/agent-cluster.ts";
import { createTestPeer } from "../../../fakes/agent-intent.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

describe("followTable()", () => {
  test("hands every key on, and says once when what was synced has been planned", async () => {
    const table = createTable<number>({ name: "t" });
    const clock = createFakeClock();
    const seen: string[] = [];
    const end = new AbortController();
    table.put("a", 1);
    const done = followTable(
      table,
      { clock, onKey: (key) => seen.push(key), onSynced: () => seen.push("synced") },
      end.signal,
    );
    await clock.settle();
    table.markSynced();
    table.put("b", 1);
    await clock.settle();
    table.delete("a");
    await clock.settle();
    expect(seen).toEqual(["a", "b", "synced", "a"]);
    end.abort();
    await done;
  });

  test("gives others a turn every 4,096 keys, and can be ended there", async () => {
    const table = createTable<number>({ name: "t" });
    for (let i = 0; i < 9_000; i++) table.put(String(i), i);
    table.markSynced();
    const clock = createFakeClock();
    let count = 0;
    const end = new AbortController();
    const done = followTable(
      table,
      { clock, onKey: () => count++, onSynced: () => (count = -1) },
      end.signal,
    );
    await clock.settle();
    expect(count).toBe(4_096);
    end.abort();
    await done;
    expect(count).toBe(4_096);
  });
});

describe("followPeers()", () => {
  test("runs a task for each cluster, and ends it before it says that the cluster is gone", async () => {
    const peers = createTable<PeerIntent>({ name: "peers" });
    const log: string[] = [];
    const clock = createFakeClock();
    const end = new AbortController();
    const done = followPeers(
      peers,
      {
        async run(peer, signal) {
          log.push(`run ${peer.cluster.id}`);
          await new Promise<void>((resolve) => {
            signal.addEventListener("abort", () => resolve(), { once: true });
          });
          log.push(`ended ${peer.cluster.id}`);
        },
        onGone: (peer) => log.push(`gone ${peer.cluster.id}`),
      },
      end.signal,
    );
    peers.put("west", createTestPeer(WEST));
    await clock.settle();
    // Another id is another cluster.
    peers.put("west", createTestPeer({ ...WEST, id: 9 }));
    await clock.settle();
    end.abort();
    await done;
    expect(log).toEqual(["run 2", "ended 2", "gone 2", "run 9", "ended 9"]);
  });

  test("rejects when following a cluster fails", async () => {
    const peers = createTable<PeerIntent>({ name: "peers" });
    peers.put("west", createTestPeer(WEST));
    const follower = { run: () => Promise.reject(new Error("bug")), onGone: () => {} };
    await expect(followPeers(peers, follower, new AbortController().signal)).rejects.toThrow("bug");
  });
});
