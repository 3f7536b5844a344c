// Asks the machine's own iproute2 about the loopback device, which is everywhere; changes nothing.
import { describe, expect, test } from "@jest/globals";
import { createIpCommand } from "../../../../agent/apply/ip-command.ts";

const never = new AbortController().signal;

describe("createIpCommand()", () => {
  const ip = createIpCommand();

  test("query() reads what iproute2 prints", async () => {
    expect(await ip.query(["link", "show", "dev", "lo"], never)).toMatchObject([{ ifname: "lo" }]);
  });

  test("query() of nothing is empty", async () => {
    expect(await ip.query(["route", "show", "table", "main", "proto", "84"], never)).toEqual([]);
  });

  test("tells a device that does not exist from other failures", async () => {
    const missing = ip.query(["link", "show", "dev", "tombolo_none"], never);
    await expect(missing).rejects.toMatchObject({ code: "not_found" });
    await expect(ip.run(["link", "frobnicate"], never)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining('Cannot run "ip link frobnicate": '),
    });
  });

  test("batch() of no lines is nothing, and one that fails says so", async () => {
    await ip.batch([], never);
    await expect(ip.batch(["link frobnicate"], never)).rejects.toThrow('Cannot run "ip -batch -"');
  });

  test("rejects with aborted when the signal is", async () => {
    await expect(ip.run(["link"], AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  });
});
