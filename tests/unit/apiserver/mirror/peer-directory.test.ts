import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { readPeerDirectory } from "../../../../apiserver/mirror/peer-directory.ts";

describe("readPeerDirectory()", () => {
  test("tells peers, peers in trouble and nothing else", async () => {
    const root = await mkdtemp(join(tmpdir(), "tombolo-as-peers-"));
    const good = `endpoints: ["https://10.0.0.1:2379"]\ntrusted-ca-file: /a\nkey-file: /k\ncert-file: /c\n`;
    await writeFile(join(root, "west.yaml"), good);
    await writeFile(join(root, "north.yaml"), "endpoints: []\n");
    await writeFile(join(root, "NOT_A_NAME.yaml"), good);
    await writeFile(join(root, ".tmp.yaml"), good);
    await writeFile(join(root, "notes.txt"), "");
    const entries = await readPeerDirectory(root);
    expect([...(entries?.keys() ?? [])]).toEqual(["NOT_A_NAME", "north", "west"]);
    expect(entries?.get("west")).toMatchObject({ problem: "", file: { keyFile: "/k" } });
    expect(entries?.get("north")).toMatchObject({
      file: undefined,
      problem: expect.stringContaining("want a list of URLs"),
    });
    expect(entries?.get("NOT_A_NAME")?.problem).toContain("as cluster name");
    await rm(root, { recursive: true });
  });

  test("knows nothing when the directory cannot be read", async () => {
    expect(await readPeerDirectory("/nonexistent/peers")).toBeUndefined();
  });
});
