import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  createServiceTarget,
  type ServiceTarget,
} from "../../../../agent/apply/service-operations.ts";
import type { ServiceMaps } from "../../../../agent/apply/service-maps.ts";
import type { Frontend } from "../../../../agent/plan/plan-service.ts";
import { createWatchedServiceMaps, readAll } from "../../../fakes/service-maps.ts";

const never = new AbortController().signal;

/** `1/0/2:a,b 2/1/1:c`: cluster/tier/weight and the last letters of its backends' names. */
function frontend(text: string, key = "10.96.0.1:80/TCP"): Frontend {
  const [address = "", rest = ""] = key.split(":");
  return {
    key,
    service: "shop/cart",
    portName: "http",
    address,
    port: Number.parseInt(rest, 10),
    protocol: "TCP",
    sessionAffinitySeconds: 0,
    groups: text === "" ? [] : text.split(" ").map(group),
  };
}

function group(text: string): Frontend["groups"][number] {
  const [head = "", names = ""] = text.split(":");
  const [clusterId = 0, tier = 0, weight = 0] = head.split("/").map(Number);
  const backends = names.split(",").map((name) => ({
    address: `10.${clusterId}.0.${name.charCodeAt(0)}`,
    port: 80,
  }));
  return { cluster: `c${clusterId}`, clusterId, tier, weight, backends };
}

async function apply(target: ServiceTarget, row: Frontend): Promise<void> {
  const failures = await target.operations.update(
    [{ key: row.key, row, previous: undefined }],
    never,
  );
  expect(failures.size).toBe(0);
}

/** What the rows say once all is quiet, as `frontend()` writes it. */
function written(maps: ServiceMaps, key = "10.96.0.1:80/TCP"): string {
  const groups = new Map<string, string[]>();
  for (const line of readAll(maps).get(key) ?? []) {
    const [clusterId, tier, weight, address = ""] = line.split(" ");
    const name = String.fromCharCode(Number(address.split(".")[3]?.split(":")[0]));
    const head = `${clusterId}/${tier}/${weight}`;
    groups.set(head, [...(groups.get(head) ?? []), name]);
  }
  return [...groups].map(([head, names]) => `${head}:${names.sort().join(",")}`).join(" ");
}

describe("planFrontendUpdate()", () => {
  const steps: readonly [string, string, string, readonly string[]][] = [
    [
      "a new frontend, from the backends up",
      "",
      "1/0/2:a,b",
      ["put backends", "put backends", "put slots", "put slots", "put groups", "put services"],
    ],
    ["nothing where nothing changes", "1/0/2:a,b", "1/0/2:a,b", []],
    ["one backend more", "1/0/2:a,b", "1/0/2:a,b,c", ["put backends", "put slots", "put groups"]],
    [
      "one backend less: the last takes its slot, then the count, then what is behind it",
      "1/0/3:a,b,c",
      "1/0/3:b,c",
      ["put slots", "put groups", "delete slots", "delete backends"],
    ],
    [
      "the last backend less",
      "1/0/3:a,b",
      "1/0/3:a",
      ["put groups", "delete slots", "delete backends"],
    ],
    ["one for another", "1/0/2:a,b", "1/0/2:a,c", ["put backends", "put slots", "delete backends"]],
    ["a weight", "1/0/2:a", "1/0/9:a", ["put groups"]],
    [
      "a cluster more in the middle: no cluster is ever missing",
      "1/0/1:a 3/0/1:c",
      "1/0/1:a 2/0/1:b 3/0/1:c",
      ["put backends", "put slots", "put groups", "put services", "put groups"],
    ],
    [
      "a cluster less",
      "1/0/1:a 2/0/1:b 3/0/1:c",
      "1/0/1:a 3/0/1:c",
      ["put groups", "put services", "delete groups", "delete slots", "delete backends"],
    ],
    [
      "clusters in another order: the new list behind the old one, then in its place",
      "1/0/1:a 2/1/1:b",
      "2/0/1:b 1/1/1:a",
      [
        "put groups",
        "put groups",
        "put services",
        "put groups",
        "put groups",
        "put services",
        "delete groups",
        "delete groups",
      ],
    ],
    [
      "nobody left: the frontend stays and refuses",
      "1/0/1:a",
      "",
      ["put services", "delete groups", "delete slots", "delete backends"],
    ],
  ];
  for (const [name, before, after, wanted] of steps) {
    test(`writes ${name}`, async () => {
      const maps = createWatchedServiceMaps(readAll);
      const target = createServiceTarget(maps);
      if (before !== "") await apply(target, frontend(before));
      maps.log.length = 0;
      await apply(target, frontend(after));
      expect(maps.log.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual(wanted);
      expect(written(maps)).toBe(after);
    });
  }

  test("keeps every cluster that stays selectable at every moment", async () => {
    let required: readonly string[] = [];
    const maps = createWatchedServiceMaps((current) => {
      const lines = readAll(current).get("10.96.0.1:80/TCP") ?? [];
      const clusters = new Set(lines.map((line) => line.split(" ")[0]));
      for (const cluster of required) expect(clusters).toContain(cluster);
    });
    const target = createServiceTarget(maps);
    const lists = [
      "1/0/1:a 2/0/1:b 3/0/1:c",
      "3/0/1:c 1/1/1:a 2/1/1:b",
      "2/0/1:b 4/0/1:d 3/1/1:c",
      "3/0/1:c 2/0/1:b",
      "1/0/1:a 3/0/1:c 2/5/1:b 4/6/1:d",
      "2/0/1:b",
    ];
    let previous: string[] = [];
    for (const list of lists) {
      const clusters = list.split(" ").map((part) => part.split("/")[0] ?? "");
      required = clusters.filter((cluster) => previous.includes(cluster));
      await apply(target, frontend(list));
      previous = clusters;
    }
  });

  test("takes over the id of a backend that another frontend uses, and leaves it while used", async () => {
    const maps = createWatchedServiceMaps(readAll);
    const target = createServiceTarget(maps);
    await apply(target, frontend("1/0/1:a"));
    await apply(target, frontend("1/0/1:a", "10.96.0.2:80/TCP"));
    expect([...maps.backends.entries()].length).toBe(1);
    await apply(target, frontend(""));
    expect([...maps.backends.entries()].length).toBe(1);
    await apply(target, frontend("", "10.96.0.2:80/TCP"));
    expect([...maps.backends.entries()].length).toBe(0);
  });
});

describe("any sequence of changes", () => {
  const backends = fc
    .subarray(["a", "b", "c", "d", "e"], { minLength: 1 })
    .chain((names) => fc.shuffledSubarray(names, { minLength: names.length }));
  const groupsOf = fc
    .shuffledSubarray([1, 2, 3, 4])
    .chain((clusters) =>
      fc.tuple(
        ...clusters.map((id) =>
          fc.tuple(fc.nat(2), fc.nat(3), backends).map(([tier, weight, names]) => ({
            id,
            tier,
            weight,
            names,
          })),
        ),
      ),
    )
    .map((groups) =>
      groups
        .sort((a, b) => a.tier - b.tier || a.id - b.id)
        .map(({ id, tier, weight, names }) => `${id}/${tier}/${weight}:${names.sort().join(",")}`)
        .join(" "),
    );
  const change = fc.record({
    key: fc.constantFrom("10.96.0.1:80/TCP", "10.96.0.2:80/TCP", "10.96.0.3:80/TCP"),
    groups: fc.option(groupsOf, { nil: undefined }),
  });
  const batches = fc.array(
    fc.uniqueArray(change, { selector: ({ key }) => key, minLength: 1, maxLength: 3 }),
    { maxLength: 8 },
  );

  test("never lets a reader find a dangling reference, and ends as desired without leftovers", async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.boolean(), async (sequence, restart) => {
        const maps = createWatchedServiceMaps(readAll);
        let target = createServiceTarget(maps);
        const desired = new Map<string, string>();
        for (const batch of sequence) {
          if (restart) target = createServiceTarget(maps);
          const updates = batch.flatMap(({ key, groups }) =>
            groups === undefined ? [] : [{ key, row: frontend(groups, key), previous: undefined }],
          );
          const deletes = batch.flatMap(({ key, groups }) =>
            groups === undefined ? [{ key, row: frontend("", key) }] : [],
          );
          await target.operations.delete(deletes, never);
          await target.operations.update(updates, never);
          for (const { key, groups } of batch) {
            if (groups === undefined) desired.delete(key);
            else desired.set(key, groups);
          }
        }
        expect(new Set(readAll(maps).keys())).toEqual(new Set(desired.keys()));
        for (const [key, groups] of desired) expect(written(maps, key)).toBe(groups);
        const used = new Set([...maps.slots.entries()].map(([, id]) => id));
        expect(new Set([...maps.backends.entries()].map(([id]) => id))).toEqual(used);
        const slots = [...readAll(maps).values()].reduce((sum, lines) => sum + lines.length, 0);
        expect([...maps.slots.entries()].length).toBe(slots);
      }),
      { numRuns: 200 },
    );
  });
});
