import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findContext, takeFlags } from "../../../../mesh/commands/select-context.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";

let home = "";
let kubeconfigs: string[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-select-"));
  kubeconfigs = [join(home, "kubeconfig")];
});
afterEach(() => rm(home, { recursive: true, force: true }));

const find = (name: string, wish: { kubeconfig?: string; namespace?: string } = {}) =>
  findContext({ name, ...wish }, { home, kubeconfigs });

const EAST = { name: "east", directory: "/srv/east", networkNamespace: undefined };
const LAB = {
  name: "lab",
  kubeconfig: "/srv/kubeconfig",
  kubeContext: "admin",
  namespace: "mesh",
  networkNamespace: "/run/netns/router",
};

describe("findContext()", () => {
  test("prefers this machine's own, of either kind", async () => {
    await writeContext(home, EAST);
    await writeContext(home, LAB);
    await writeFile(join(home, "kubeconfig"), "contexts: [{name: east}]");
    expect(await find("east", { namespace: "other" })).toEqual(EAST);
    expect(await find("lab")).toEqual(LAB);
    expect(await find("lab", { namespace: "other" })).toEqual({ ...LAB, namespace: "other" });
  });

  test("takes any name of the kubeconfig, in the file that is asked for", async () => {
    await writeFile(join(home, "kubeconfig"), "contexts: [{name: admin@West}]");
    expect(await find("admin@West")).toEqual({
      name: "admin@West",
      kubeconfig: kubeconfigs[0],
      kubeContext: "admin@West",
      namespace: undefined,
      networkNamespace: undefined,
    });
    const other = join(home, "other");
    await writeFile(other, "contexts: [{name: north}]");
    expect(await find("north", { kubeconfig: other })).toMatchObject({ kubeconfig: other });
    await expect(find("admin@West", { kubeconfig: other })).rejects.toMatchObject({
      code: "not_found",
      hint: "the kubeconfig has: north",
    });
  });

  test("names all contexts there are when there is none of that name", async () => {
    const message = 'Cannot find context "south"';
    await expect(find("south")).rejects.toMatchObject({ code: "not_found", message });
    await writeContext(home, EAST);
    await expect(find("south")).rejects.toMatchObject({ hint: "there are: east" });
    await writeFile(join(home, "kubeconfig"), "contexts: [{name: west}, {name: north}]");
    await expect(find("south")).rejects.toMatchObject({
      message,
      hint: "there are: east; the kubeconfig has: west, north",
    });
  });
});

describe("takeFlags()", () => {
  test("takes what it knows and leaves the rest as it is", () => {
    const args = ["shop/cart", "--context", "east", "--output", "json", "--node=n1", "--x"];
    expect(takeFlags(args, ["context", "node"])).toEqual({
      rest: ["shop/cart", "--output", "json", "--x"],
      values: { context: "east", node: "n1" },
    });
  });

  test("takes nothing behind --", () => {
    const args = ["--", "--context", "east"];
    expect(takeFlags(args, ["context"])).toEqual({ rest: args, values: {} });
  });
});
