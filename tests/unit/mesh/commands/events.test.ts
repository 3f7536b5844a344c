import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventsCommand, parseEventsRequest } from "../../../../mesh/commands/events.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

describe("parseEventsRequest()", () => {
  test("has defaults, and takes every flag", () => {
    expect(parseEventsRequest({}, 0)).toMatchObject({
      follow: false,
      filter: "tombolo.events.*.*",
      limit: 100,
      sinceMs: undefined,
    });
    const all = { cluster: "east", kind: "drain", severity: "warning", since: "1h", limit: "5" };
    expect(parseEventsRequest({ ...all, follow: true, output: "json" }, 3_600_000)).toEqual({
      follow: true,
      filter: "tombolo.events.east.drain",
      severities: new Set(["warning", "error"]),
      sinceMs: 0,
      after: 0,
      limit: 5,
      format: "json",
    });
    expect(parseEventsRequest({ since: "7d" }, 7 * 86_400_000).sinceMs).toBe(0);
  });

  for (const values of [
    { kind: "x" },
    { severity: "x" },
    { since: "1 year" },
    { limit: "0" },
    { limit: "x" },
    { after: "-1" },
    { cluster: "*" },
    { output: "xml" },
  ]) {
    test(`refuses ${JSON.stringify(values)}`, () => {
      expect(() => parseEventsRequest(values, 0)).toThrow(/^Cannot use/);
    });
  }
});

describe("mesh events", () => {
  let home = "";

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "tombolo-ev-home-"));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  async function addContext(name: string, networkNamespace?: string): Promise<void> {
    await writeContext(home, { name, directory: join(home, name), networkNamespace });
  }
  const run = (...args: string[]): Promise<number> =>
    eventsCommand.run(args, createTestContext(home));

  test("wants a context", async () => {
    await expect(run()).rejects.toThrow("Cannot show any event: there is no context yet");
    await expect(run("--context", "nowhere")).rejects.toThrow('Cannot find context "nowhere"');
  });

  test("asks all contexts, names those that cannot be asked, and fails when none can", async () => {
    await addContext("east");
    await addContext("west");
    await expect(run()).rejects.toThrow(`Cannot find the operations plane of "${home}/`);
  });

  test("takes a number of a stream for one context only", async () => {
    await addContext("east");
    await addContext("west");
    await expect(run("--after", "7")).rejects.toThrow(
      "Cannot use --after: it counts in one stream",
    );
  });

  test("asks no contexts together that live in different networks", async () => {
    await addContext("east", "/run/netns/one");
    await addContext("west", "/run/netns/two");
    await expect(run()).rejects.toThrow("Cannot ask east, west together: they name different");
  });
});
