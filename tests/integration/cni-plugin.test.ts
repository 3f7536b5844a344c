// The CNI plugin as container runtimes call it: an executable, real namespaces, a real datapath.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { eventually } from "../fakes/eventually.ts";
import { createCniTestNode, MTU, ROUTERS, type CniTestNode } from "./cni-node.ts";

/** Each call of the plugin starts a Node; 50 at once keep a busy machine of two cores at it. */
const LIMIT_MS = 300_000;
jest.setTimeout(LIMIT_MS);

let node: CniTestNode;

beforeAll(() => {
  node = createCniTestNode(`p${process.pid}`);
}, LIMIT_MS);
afterAll(() => node[Symbol.dispose]());

describe("tombolo-cni", () => {
  test("VERSION tells the versions it speaks", async () => {
    const { status, json } = await node.call({ command: "VERSION", containerId: "" });
    expect(status).toBe(0);
    expect(json).toEqual({
      cniVersion: "1.0.0",
      supportedVersions: ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
    });
  });

  test("ADD says try again later (11) as long as no agent has described the node", async () => {
    const netns = node.addPodNamespace("early");
    const { status, json } = await node.call({ command: "ADD", containerId: "early", netns });
    expect(status).toBe(1);
    expect(json).toMatchObject({ cniVersion: "1.0.0", code: 11 });
    expect(json?.["msg"]).toContain("cni-node.json");
  });

  test("STATUS says not available (50) until the agent has described the node", async () => {
    const config = { cniVersion: "1.1.0" };
    const { status, json } = await node.call({ command: "STATUS", containerId: "", config });
    expect(status).toBe(1);
    expect(json).toMatchObject({ cniVersion: "1.1.0", code: 50 });
  });

  for (const [name, call, code] of [
    ["an unknown version", { config: { cniVersion: "0.1.0" } }, 1],
    ["a bad container id", { containerId: "a b" }, 4],
    ["a bad interface name", { env: { CNI_IFNAME: "more-than-fifteen" } }, 4],
    ["no state directory", { config: { stateDirectory: undefined } }, 7],
  ] as const) {
    test(`ADD refuses ${name} with code ${code}`, async () => {
      const answer = await node.call({
        command: "ADD",
        containerId: "bad",
        netns: "whatever",
        ...call,
      });
      expect(answer.status).toBe(1);
      expect(answer.json?.["code"]).toBe(code);
    });
  }

  test(
    "ADD, CHECK and DEL attach two pods that reach each other and their gateway, and leave nothing",
    async () => {
      node.writeNodeFile();
      const a = node.addPodNamespace("a");
      const b = node.addPodNamespace("b");
      const added = await node.call({ command: "ADD", containerId: "pod-a", netns: a });
      expect(added.json).toMatchObject({
        cniVersion: "1.0.0",
        interfaces: [
          { name: expect.stringMatching(/^tbl[0-9a-f]{12}$/) },
          { name: "eth0", sandbox: `/run/netns/${a}` },
        ],
        ips: [
          { address: "10.77.1.2/32", gateway: ROUTERS[0], interface: 1 },
          { address: "fd00:77::2/128", gateway: ROUTERS[1], interface: 1 },
        ],
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
        dns: {},
      });
      const other = await node.call({
        command: "ADD",
        containerId: "pod-b",
        netns: b,
        config: { cniVersion: "0.4.0" },
      });
      expect(other.json).toMatchObject({
        cniVersion: "0.4.0",
        ips: [
          { version: "4", address: "10.77.1.3/32" },
          { version: "6", address: "fd00:77::3/128" },
        ],
      });
      expect(node.run(["ip", "link", "show", "eth0"], a)).toContain(`mtu ${MTU}`);
      for (const address of ["10.77.1.3", "fd00:77::3", ...ROUTERS]) {
        await expectReachable(a, address);
      }

      const check = { command: "CHECK", containerId: "pod-a", netns: a };
      const good = await node.call({ ...check, config: { prevResult: added.json } });
      expect(good).toEqual({ status: 0, json: undefined });
      node.run(["ip", "route", "delete", "default"], a);
      const bad = await node.call({ ...check, config: { prevResult: added.json } });
      expect(bad.json).toMatchObject({
        code: 102,
        details: expect.stringContaining("the default route of IPv4 does not lead to 10.77.1.1"),
      });

      const again = await node.call({ command: "ADD", containerId: "pod-a", netns: a });
      expect(again.json?.["code"]).toBe(101);
      for (const [containerId, netns] of [
        ["pod-a", a],
        ["pod-a", a],
        ["pod-b", undefined],
        ["never-there", undefined],
      ] as const) {
        const gone = await node.call({
          command: "DEL",
          containerId,
          ...(netns === undefined ? {} : { netns }),
        });
        expect(gone).toEqual({ status: 0, json: undefined });
      }
      expect(node.hostInterfaces()).toEqual([]);
      expect(node.takenAddresses()).toEqual([]);
    },
    LIMIT_MS,
  );

  test("CHECK tells an unknown container (3) and a missing prevResult (7)", async () => {
    const netns = node.addPodNamespace("unknown");
    const check = { command: "CHECK", containerId: "unknown", netns };
    expect((await node.call(check)).json?.["code"]).toBe(7);
    const answer = await node.call({ ...check, config: { prevResult: {} } });
    expect(answer.json?.["code"]).toBe(3);
  });

  test("ADD puts its own behind the result of the plugin before it", async () => {
    const netns = node.addPodNamespace("chained");
    const prevResult = {
      interfaces: [{ name: "other0" }],
      ips: [{ address: "192.0.2.9/32", interface: 0 }],
      dns: { nameservers: ["192.0.2.53"] },
    };
    const { json } = await node.call({
      command: "ADD",
      containerId: "chained",
      netns,
      config: { prevResult },
    });
    expect(json).toMatchObject({
      interfaces: [{ name: "other0" }, {}, { name: "eth0" }],
      ips: [{ address: "192.0.2.9/32" }, { interface: 2 }, { interface: 2 }],
      dns: { nameservers: ["192.0.2.53"] },
    });
    await node.call({ command: "DEL", containerId: "chained", netns });
  });

  test("STATUS is well once pods can be attached, and 51 when the datapath is lost", async () => {
    const ask = { command: "STATUS", containerId: "", config: { cniVersion: "1.1.0" } };
    node.writeNodeFile();
    expect(await node.call(ask)).toEqual({ status: 0, json: undefined });
    node.writeNodeFile({ bpfRoot: "/sys/fs/bpf/tombolo-is-not-there" });
    expect((await node.call(ask)).json).toMatchObject({ code: 51 });
    node.writeNodeFile();
  });

  test("GC takes back what the runtime does not know any more, and nothing else", async () => {
    const kept = node.addPodNamespace("gc-kept");
    const lost = node.addPodNamespace("gc-lost");
    const config = { cniVersion: "1.1.0" };
    for (const [containerId, netns] of [
      ["gc-kept", kept],
      ["gc-lost", lost],
    ] as const) {
      const { json } = await node.call({ command: "ADD", containerId, netns, config });
      expect(json).toMatchObject({ cniVersion: "1.1.0", interfaces: [{ mtu: MTU }, { mtu: MTU }] });
    }
    const gc = { command: "GC", containerId: "" };
    const bad = await node.call({ ...gc, config });
    expect(bad.json).toMatchObject({ code: 7 });
    expect(node.takenAddresses()).toHaveLength(4);
    const valid = [{ containerID: "gc-kept", ifname: "eth0" }];
    const list = { "cni.dev/valid-attachments": valid };
    const good = await node.call({ ...gc, config: { ...config, ...list } });
    expect(good).toEqual({ status: 0, json: undefined });
    expect(node.takenAddresses()).toHaveLength(2);
    expect(node.hostInterfaces()).toHaveLength(1);
    await expectReachable(kept, ROUTERS[0]);
    await node.call({ command: "DEL", containerId: "gc-kept", netns: kept });
  });

  test("ADD that fails half way leaves no interface and no address", async () => {
    node.writeNodeFile();
    const netns = node.addPodNamespace("occupied");
    node.run(["ip", "link", "add", "eth0", "type", "bridge"], netns);
    const occupied = await node.call({ command: "ADD", containerId: "occupied", netns });
    expect(occupied.json?.["code"]).toBe(5);
    const free = node.addPodNamespace("no-datapath");
    node.writeNodeFile({ bpfRoot: "/sys/fs/bpf/tombolo-is-not-there" });
    const blind = await node.call({ command: "ADD", containerId: "blind", netns: free });
    expect(blind.status).toBe(1);
    expect(node.hostInterfaces()).toEqual([]);
    expect(node.takenAddresses()).toEqual([]);
    node.writeNodeFile();
  });

  test(
    "50 ADDs at once, some of them killed, give no address twice",
    async () => {
      node.writeNodeFile({ podPrefixes: ["10.77.1.0/26", "fd00:77::/64"] });
      const names = Array.from({ length: 50 }, (_, i) => `many-${i}`);
      const netns = new Map(names.map((name) => [name, node.addPodNamespace(name)]));
      const answers = await Promise.all(
        names.map(async (containerId, i) =>
          node.call(
            { command: "ADD", containerId, netns: netns.get(containerId) ?? "" },
            // Each tenth is killed in the middle of the others.
            i % 10 === 0
              ? (pid) => void killOnce(pid, () => node.takenAddresses().length > i)
              : undefined,
          ),
        ),
      );
      const addresses = answers.flatMap(({ json }) =>
        ((json?.["ips"] ?? []) as { address: string }[]).map(({ address }) => address),
      );
      const failed = names.filter((_, i) => answers[i]?.status !== 0);
      expect(failed.length).toBeLessThanOrEqual(5);
      expect(new Set(addresses).size).toBe(addresses.length);

      // The runtime follows a failed ADD with a DEL; then only the others have anything.
      for (const containerId of failed) await node.call({ command: "DEL", containerId });
      expect(node.hostInterfaces()).toHaveLength(names.length - failed.length);
      expect(node.takenAddresses().sort()).toEqual(addresses.map(withoutLength).sort());
    },
    LIMIT_MS,
  );

  test("ADD says that all addresses are taken (100), and gives back what it had taken", async () => {
    node.writeNodeFile({
      podPrefixes: ["10.77.9.0/30", "fd00:77::/64"],
      routerAddresses: ["10.77.9.1", "fd00:77::1"],
    });
    const first = node.addPodNamespace("last");
    const second = node.addPodNamespace("late");
    expect((await node.call({ command: "ADD", containerId: "last", netns: first })).status).toBe(0);
    const taken = node.takenAddresses();
    const { json } = await node.call({ command: "ADD", containerId: "late", netns: second });
    expect(json).toMatchObject({ code: 100 });
    expect(json?.["msg"]).toContain("10.77.9.0/30");
    expect(node.takenAddresses()).toEqual(taken);
    await node.call({ command: "DEL", containerId: "last" });
  });
});

function withoutLength(prefix: string): string {
  return prefix.split("/")[0] ?? prefix;
}

/** Kills the process as soon as the condition holds, unless it has ended by then. */
async function killOnce(pid: number, condition: () => boolean): Promise<void> {
  await eventually(condition, { limitMs: LIMIT_MS });
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** One TCP connection to a closed port: a refusal has travelled there and back. */
async function expectReachable(netns: string, address: string): Promise<void> {
  const script = `require("net").connect({host:"${address}",port:9,timeout:5000})
    .on("error",(e)=>console.log(e.code)).on("timeout",()=>{console.log("timeout");process.exit()})`;
  expect(node.run([process.execPath, "-e", script], netns).trim()).toBe("ECONNREFUSED");
}
