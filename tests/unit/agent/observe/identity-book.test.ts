import { describe, expect, test } from "@jest/globals";
import { openIdentityBook } from "../../../../agent/observe/identity-book.ts";
import { CART, cartPolicy, startPolicyNode, WEST_WEB } from "../../../fakes/policy-node.ts";

async function start() {
  const node = startPolicyNode();
  node.addPod("cart-1", CART, 12);
  const peers = [{ kind: "cidr", cidr: "192.0.2.0/24", except: [] }] as const;
  node.putPolicy(cartPolicy([{ peers }]));
  await node.sync();
  return { ...node, book: openIdentityBook(node.parts) };
}

describe("openIdentityBook()", () => {
  test("knows identities of every cluster, reserved ones, and the node's own numbers", async () => {
    await using node = await start();
    const { book } = node;
    expect(book.identity(WEST_WEB)).toMatchObject({ cluster: "west" });
    expect(book.identity(WEST_WEB).labels).toContain("k8s:app=web");
    expect(book.identity(9)).toEqual({ number: 9, cluster: "", labels: ["reserved:world-ipv4"] });
    const number = node.parts.engine.rows()[0]?.identity ?? 0;
    expect(book.identity(number)).toEqual({ number, cluster: "", labels: ["cidr:192.0.2.0/24"] });
    expect(book.prefixOf(number)).toBe("192.0.2.0/24");
    expect(book.prefixOf(CART)).toBe("");
  });

  test("a number that nobody has told of has no labels", async () => {
    await using node = await start();
    const { book } = node;
    expect(book.identity(CART + 9)).toEqual({ number: CART + 9, cluster: "east", labels: [] });
    expect(book.identity(7 << 16)).toEqual({ number: 7 << 16, cluster: "", labels: [] });
    expect(book.identity(2 ** 24 + 99)).toMatchObject({ cluster: "", labels: [] });
  });

  test("finds pods by address in the cluster of their identity only", async () => {
    await using node = await start();
    const { book } = node;
    expect(book.podAt("10.1.1.12", CART)).toEqual({ namespace: "shop", name: "cart-1" });
    expect(book.podAt("10.1.1.12", WEST_WEB)).toBeUndefined();
    expect(book.podAt("10.1.1.12", 9)).toBeUndefined();
  });

  test("has clusters by name", async () => {
    await using node = await start();
    const { book } = node;
    expect([...book.clusters()].map(({ cluster }) => cluster.name)).toEqual(["east", "west"]);
    expect(book.cluster("")?.cluster.name).toBe("east");
    expect(book.cluster("east")?.cluster.name).toBe("east");
    expect(book.cluster("west")?.cluster.name).toBe("west");
    expect(book.cluster("north")).toBeUndefined();
  });
});
