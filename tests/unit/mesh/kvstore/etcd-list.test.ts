// Pages, their sizes, and values that fit nowhere.
import { describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import type { UnaryCall } from "../../../../mesh/kvstore/etcd-connection.ts";
import { listPages, rangeEndOfPrefix, type ListPage } from "../../../../mesh/kvstore/etcd-list.ts";
import { createFakeConnection, header } from "../../../fakes/etcd-connection.ts";

const signal = new AbortController().signal;

interface RangeRequest {
  readonly key: Buffer;
  readonly range_end?: Buffer;
  readonly limit: number;
  readonly revision: string;
  readonly keys_only: boolean;
}

/** An etcd that answers ranges, with a limit on the bytes of values in an answer. */
function rangeOver(values: ReadonlyMap<string, number>, maxBytes = Infinity) {
  return ({ request }: UnaryCall): unknown => {
    const { key, limit, keys_only } = request as RangeRequest;
    const rest = [...values].filter(([name]) => Buffer.compare(Buffer.from(name), key) >= 0);
    const kvs = rest.slice(0, limit).map(([name, bytes]) => ({
      key: Buffer.from(name),
      value: Buffer.alloc(keys_only ? 0 : bytes),
      mod_revision: "5",
    }));
    if (kvs.reduce((sum, { value }) => sum + value.length, 0) > maxBytes)
      throw new MeshError("resource_exhausted", "Cannot read: larger than max");
    return { header: header(9), kvs, more: rest.length > limit };
  };
}

async function collect(
  answer: (call: UnaryCall) => unknown,
): Promise<{ pages: ListPage[]; requests: RangeRequest[] }> {
  const connection = createFakeConnection(answer);
  const pages: ListPage[] = [];
  for await (const page of listPages({ connection, prefix: "k" }, signal)) pages.push(page);
  return { pages, requests: connection.calls.map(({ request }) => request as RangeRequest) };
}

const numbered = (count: number, bytes: number): Map<string, number> =>
  new Map(Array.from({ length: count }, (_, i) => [`k${String(i).padStart(6, "0")}`, bytes]));

describe("listPages()", () => {
  test("yields one page for a short list, also for an empty one", async () => {
    expect((await collect(rangeOver(numbered(3, 10)))).pages).toHaveLength(1);
    expect((await collect(rangeOver(new Map()))).pages.map(({ entries }) => entries)).toEqual([[]]);
  });

  test("reads every page at the revision of the first", async () => {
    const { pages, requests } = await collect(rangeOver(numbered(5_000, 10)));
    expect(pages.flatMap(({ entries }) => entries)).toHaveLength(5_000);
    expect(requests[0]?.revision).toBe("0");
    expect(new Set(requests.slice(1).map(({ revision }) => revision))).toEqual(new Set(["9"]));
  });

  test("takes larger pages while values are small", async () => {
    const { requests } = await collect(rangeOver(numbered(20_000, 10)));
    expect(requests.map(({ limit }) => limit)).toEqual([1_000, 2_000, 4_000, 8_000, 8_000]);
  });

  test("hands a large page over in slices, with turns of the event loop between", async () => {
    let turns = 0;
    const count = (): void => {
      turns++;
      turn = setImmediate(count);
    };
    let turn = setImmediate(count);
    const { pages, requests } = await collect(rangeOver(numbered(7_500, 10)));
    clearImmediate(turn);
    expect(requests).toHaveLength(4);
    expect(pages.map(({ entries }) => entries.length)).toEqual([
      1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 500,
    ]);
    expect(turns).toBeGreaterThanOrEqual(4);
    expect(new Set(pages.map(({ pin }) => pin.revision))).toEqual(new Set([9n]));
  });

  test("halves a page until it fits", async () => {
    const { pages, requests } = await collect(rangeOver(numbered(10, 1_000), 3_000));
    expect(pages.flatMap(({ entries }) => entries)).toHaveLength(10);
    expect(requests.map(({ limit }) => limit).slice(0, 3)).toEqual([1_000, 500, 250]);
  });

  test("skips and names a value that does not fit alone", async () => {
    const values = numbered(5, 10);
    values.set("k000002", 10_000);
    const { pages } = await collect(rangeOver(values, 5_000));
    expect(pages.flatMap(({ entries }) => entries)).toHaveLength(4);
    expect(pages.flatMap(({ skipped }) => skipped)).toEqual(["k000002"]);
  });

  test("rejects with cluster_changed when another etcd answers in the middle", async () => {
    const range = rangeOver(numbered(3_000, 10));
    let calls = 0;
    const answer = (call: UnaryCall): unknown => ({
      ...(range(call) as object),
      header: header(9, String(++calls)),
    });
    await expect(collect(answer)).rejects.toMatchObject({ code: "cluster_changed" });
  });

  test("asks for one key without a range end, because etcd takes an empty one for all", async () => {
    const connection = createFakeConnection(rangeOver(new Map()));
    for await (const _ of listPages({ connection, prefix: "k", exact: true }, signal)) continue;
    const request = connection.calls[0]?.request as RangeRequest | undefined;
    expect(request).toBeDefined();
    expect(request?.range_end).toBeUndefined();
  });
});

describe("rangeEndOfPrefix()", () => {
  for (const [prefix, end] of [
    ["cilium/state/", "cilium/state0"],
    ["a", "b"],
  ] as const)
    test(`ends "${prefix}" at "${end}"`, () => {
      expect(rangeEndOfPrefix(prefix)?.toString()).toBe(end);
    });

  test("ends the empty prefix never", () => {
    expect(rangeEndOfPrefix("")).toEqual(Buffer.from([0]));
  });
});
