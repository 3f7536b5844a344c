import { describe, expect, test } from "@jest/globals";
import type { PeerStatus } from "../../../../mesh/connect/cluster-facts.ts";
import { verifyConnected } from "../../../../mesh/connect/verify.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const signal = new AbortController().signal;

function peer(changes: Partial<PeerStatus> = {}): PeerStatus {
  return {
    name: "west",
    id: 2,
    state: "ready",
    reason: "",
    synced: true,
    heartbeatAgeSeconds: 1,
    reconnections: 0,
    kinds: [],
    ...changes,
  };
}

/** Answers one after the other, the last one for ever. */
function reader(...answers: (readonly PeerStatus[] | Error)[]) {
  let next = 0;
  const readPeers = (): Promise<readonly PeerStatus[]> => {
    const answer = answers[Math.min(next++, answers.length - 1)] ?? [];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  return { reader: "east", peer: "west", status: { readPeers } };
}

describe("verifyConnected()", () => {
  test("resolves when every direction is ready and synced, and tells each change once", async () => {
    const clock = createFakeClock();
    const seen: string[] = [];
    const work = verifyConnected(
      [
        reader(
          new Error("no apiserver"),
          [],
          [peer({ state: "syncing", synced: false, reason: "waiting for nodes" })],
          [peer({ synced: false })],
          [peer({ synced: false })],
          [peer()],
        ),
      ],
      { clock, onProgress: (lines) => seen.push(...lines), signal },
    );
    await clock.advance(5_000);
    await work;
    expect(seen).toEqual([
      "east reads west: no apiserver",
      "east reads west: not noticed yet",
      "east reads west: syncing (waiting for nodes)",
      "east reads west: ready",
      "east reads west: in sync",
    ]);
  });

  test("rejects at the limit with the directions that do not work", async () => {
    const clock = createFakeClock();
    const work = verifyConnected(
      [
        reader([peer()]),
        { ...reader([peer({ state: "refused", reason: "bad id" })]), peer: "west" },
      ],
      { clock, onProgress: () => {}, signal },
    );
    const rejected = expect(work).rejects.toMatchObject({
      code: "deadline_exceeded",
      message:
        "Cannot verify the connection: not in sync after 60 s: east reads west: refused (bad id)",
    });
    await clock.advance(61_000);
    await rejected;
  });

  test("ends at once when it is aborted", async () => {
    const abort = new AbortController();
    const work = verifyConnected([reader([])], {
      clock: createFakeClock(),
      onProgress: () => abort.abort(),
      signal: abort.signal,
    });
    await expect(work).rejects.toMatchObject({ code: "aborted" });
  });
});
