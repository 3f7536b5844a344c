import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { CniSettings } from "../../../../agent/config.ts";
import { createPluginConfig } from "../../../../agent/node/plugin-config.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { eventually } from "../../../fakes/eventually.ts";

describe("createPluginConfig()", () => {
  let directory: string;
  const path = () => join(directory, "05-tombolo.conflist");
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tombolo-conflist-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  function create(mode: CniSettings["mode"], ready = Promise.resolve()) {
    const clock = createFakeClock();
    const config = createPluginConfig({
      cni: {
        configDirectory: directory,
        binaryDirectory: "/bin",
        hostRoot: "/opt/tombolo",
        hostRootOnHost: "/opt/tombolo",
        mode,
        chainAfter: undefined,
      },
      stateDirectory: "/state",
      ready: () => ready,
      clock,
      log: silentLogger,
    });
    return { config, clock };
  }

  test("writes nothing before pods can be attached, repairs it then, leaves it at the end", async () => {
    const ready = Promise.withResolvers<void>();
    const { config, clock } = create("network", ready.promise);
    const end = new AbortController();
    const done = config.run(end.signal);
    await clock.advance(5_000);
    expect(existsSync(path())).toBe(false);
    expect(config.problem()).toBe("Pods cannot be attached yet");
    ready.resolve();
    await eventually(() => existsSync(path()));
    const text = await readFile(path(), "utf8");
    for (const damage of [() => rm(path()), () => writeFile(path(), "{}")]) {
      await damage();
      await eventually(async () => {
        await clock.advance(1_000);
        return (await readFile(path(), "utf8")) === text;
      });
    }
    expect(config.problem()).toBe("");
    end.abort();
    await done;
    expect(existsSync(path())).toBe(true);
  });

  test("stands behind another's configuration and follows its changes, until it is gone", async () => {
    const { config } = create("chained");
    const base = join(directory, "10-ptp.conf");
    expect(await config.repair()).toBe(false);
    expect(config.problem()).toContain(`No CNI configuration in "${directory}"`);
    for (const mtu of [1500, 9000]) {
      await writeFile(base, JSON.stringify({ name: "n", cniVersion: "1.0.0", type: "ptp", mtu }));
      expect(await config.repair()).toBe(true);
      expect(JSON.parse(await readFile(path(), "utf8"))).toMatchObject({
        plugins: [
          { type: "ptp", mtu },
          { type: "tombolo-cni", chained: true },
        ],
      });
      expect(await config.repair()).toBe(false);
    }
    await writeFile(base, "{");
    await expect(config.repair()).rejects.toThrow("it is no JSON");
    expect(existsSync(path())).toBe(true);
    await rm(base);
    expect(await config.repair()).toBe(true);
    expect(existsSync(path())).toBe(false);
  });

  test("removes what an earlier mode has left", async () => {
    await writeFile(path(), "{}");
    expect(await create("none").config.repair()).toBe(true);
    expect(existsSync(path())).toBe(false);
  });
});
