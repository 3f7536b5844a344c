import { describe, expect, test } from "@jest/globals";
import { probeCommand } from "../../../../mesh/commands/probe.ts";
import { createTestContext } from "../../../fakes/command-context.ts";
import { createCertificateAuthority } from "../../../../pki/issue.ts";

const ENDPOINT = "https://127.0.0.1:1";

describe("mesh probe", () => {
  test("prints how each endpoint answers", async () => {
    const { certificate } = await createCertificateAuthority("west", Date.now());
    const authorities = Buffer.from(certificate.pem).toString("base64");
    const context = createTestContext("/nowhere");
    const args = ["--cluster", "west", "--authorities", authorities, ENDPOINT];
    expect(await probeCommand.run(args, context)).toBe(0);
    expect(JSON.parse(context.out())).toEqual([
      {
        endpoint: ENDPOINT,
        answer: { kind: "unreachable", reason: expect.stringContaining("ECONNREFUSED") },
      },
    ]);
  });

  test.each([
    [["--cluster", "west", ENDPOINT], "want --cluster, --authorities and endpoints"],
    [["--cluster", "west", "--authorities", "YQ=="], "want --cluster, --authorities and endpoints"],
    [["--cluster", "west", "--authorities", "YQ==", ENDPOINT], "--authorities"],
    [["--cluster", "We st", "--authorities", "YQ==", ENDPOINT], "We st"],
  ])("refuses %j", async (args, message) => {
    await expect(probeCommand.run(args, createTestContext("/nowhere"))).rejects.toThrow(message);
  });
});
