import { describe, expect, test } from "@jest/globals";
import {
  gatherStatus,
  type EtcdStatus,
  type StatusParts,
} from "../../../../apiserver/api/status.ts";
import type { WriterStatus } from "../../../../apiserver/kind-writer.ts";
import { createIdentityAllocator } from "../../../../apiserver/identity/allocator.ts";
import { createSource, SOURCE_KINDS } from "../../../../apiserver/source/objects.ts";

const ETCD: EtcdStatus = {
  mode: "embedded",
  state: "running",
  endpoints: ["https://10.0.0.1:2379"],
  pid: 7,
  restarts: 0,
  lastError: "",
  writable: true,
  usersProblem: "",
};
const WRITER: WriterStatus = { desired: 2, applied: 2, failed: new Map(), synced: true };

function parts(fields: Partial<StatusParts> = {}): StatusParts {
  const source = createSource();
  for (const kind of SOURCE_KINDS) source[kind].markSynced();
  return {
    version: "0.1.0",
    cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
    etcd: () => ETCD,
    origin: {
      name: "the manifests",
      place: () => "/m",
      status: () => ({ files: 1, problems: [] }),
    },
    objectProblems: () => [],
    source,
    identities: createIdentityAllocator({ range: { first: 1, last: 10 }, nowMs: () => 0 }),
    exporter: { status: () => ({ kinds: new Map([["ip", WRITER]]), unplannable: new Map() }) },
    mirrors: { status: () => [] },
    drains: () => [],
    drainsProblem: () => "",
    operations: () => undefined,
    uptimeSeconds: () => 5,
    ...fields,
  };
}

const exporter = (writer: WriterStatus) => ({
  exporter: {
    status: () => ({ kinds: new Map([["ip" as const, writer]]), unplannable: new Map() }),
  },
});

describe("gatherStatus()", () => {
  test("names objects that cannot be used, without being less ready for it", () => {
    const problem = { file: "", line: 0, column: 0, severity: "error" as const };
    const objectProblems = () => [
      { ...problem, object: "Secret mesh/tombolo-peer-west", message: "no key" },
      { ...problem, object: "", message: "Cannot follow Secrets" },
    ];
    const status = gatherStatus(parts({ objectProblems }));
    expect(status).toMatchObject({
      ready: true,
      reasons: ["Secret mesh/tombolo-peer-west: no key", "Cannot follow Secrets"],
    });
    expect(status.source.problems).toHaveLength(2);
  });

  test("says that drains stay as they were, without being less ready for it", () => {
    const status = gatherStatus(parts({ drainsProblem: () => "Cannot use drains" }));
    expect(status).toMatchObject({
      ready: true,
      reasons: ["drains stay as they were: Cannot use drains"],
    });
  });

  test("is ready without reasons when our own state is whole", () => {
    expect(gatherStatus(parts())).toMatchObject({ ready: true, reasons: [], uptimeSeconds: 5 });
  });

  const unready: [string, Partial<StatusParts>, string][] = [
    [
      "etcd does not run",
      { etcd: () => ({ ...ETCD, state: "backing-off", lastError: "it ended" }) },
      "etcd is backing-off: it ended",
    ],
    [
      "etcd does not answer",
      { etcd: () => ({ ...ETCD, writable: false }) },
      "etcd does not answer yet",
    ],
    ["the source is not read", { source: createSource() }, "the manifests have not been read"],
    ["a kind is not whole", exporter({ ...WRITER, synced: false }), "not yet written whole: ip"],
  ];
  for (const [what, fields, reason] of unready) {
    test(`is not ready while ${what}`, () => {
      expect(gatherStatus(parts(fields))).toMatchObject({ ready: false, reasons: [reason] });
    });
  }

  test("stays ready beside things that an operator should know", () => {
    const status = gatherStatus(
      parts({
        etcd: () => ({ ...ETCD, usersProblem: "the file is broken" }),
        exporter: {
          status: () => ({
            kinds: new Map(),
            unplannable: new Map([["Pod shop/a", "no identity is free"]]),
          }),
        },
      }),
    );
    expect(status).toMatchObject({
      ready: true,
      reasons: [
        "etcd users are not as they should be: the file is broken",
        "Pod shop/a is not exported: no identity is free",
      ],
    });
  });

  test("shows a few failed rows and counts them all", () => {
    const failed = new Map(
      Array.from({ length: 30 }, (_, index) => [`ip/${index}`, new Error("too large")]),
    );
    const [ip] = gatherStatus(parts(exporter({ ...WRITER, failed }))).exports;
    expect(ip).toMatchObject({ failedTotal: 30 });
    expect(ip?.failed).toHaveLength(10);
    expect(ip?.failed[0]).toEqual({ key: "ip/0", reason: "too large" });
  });
});
