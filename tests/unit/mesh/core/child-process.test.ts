import { describe, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandOutput, inNamespace, runCommand } from "../../../../mesh/core/child-process.ts";

const never = new AbortController().signal;

describe("runCommand()", () => {
  test("passes input and environment, and returns status and both outputs", async () => {
    const result = await runCommand(
      {
        argv: ["sh", "-c", 'cat; echo "$WORD" >&2; exit 3'],
        input: "in",
        env: { WORD: "out", PATH: "/usr/bin:/bin" },
      },
      never,
    );
    expect(result).toEqual({ status: 3, stdout: "in", stderr: "out\n" });
  });

  test("hands on what is written to standard error while the program runs", async () => {
    let heard = "";
    // The program ends only after its words were heard: whoever hears them removes the directory.
    const directory = mkdtempSync(join(tmpdir(), "tombolo-child-"));
    const argv = ["sh", "-c", 'echo now >&2; while [ -e "$0" ]; do :; done', directory] as const;
    const onStderr = (text: string): void => {
      heard += text;
      rmSync(directory, { recursive: true });
    };
    expect(await runCommand({ argv, onStderr }, never)).toMatchObject({ stderr: "now\n" });
    expect(heard).toBe("now\n");
  });

  test("does not mind a program that leaves its input unread", async () => {
    const run = { argv: ["true"] as const, input: "x".repeat(1 << 20) };
    expect((await runCommand(run, never)).status).toBe(0);
  });

  test("names a program that is missing", async () => {
    const run = { argv: ["tombolo-no-such-program"] as const };
    await expect(runCommand(run, never)).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot run "tombolo-no-such-program"',
    });
  });

  test("ends the program when the signal aborts", async () => {
    const abort = new AbortController();
    const work = runCommand({ argv: ["sleep", "1000"] }, abort.signal);
    abort.abort();
    await expect(work).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("commandOutput()", () => {
  test("throws what the program said when it fails", async () => {
    const argv = ["sh", "-c", "echo no such device >&2; exit 1"] as const;
    await expect(commandOutput({ argv }, never)).rejects.toThrow("exit status 1: no such device");
    expect(await commandOutput({ argv: ["echo", "yes"] }, never)).toBe("yes\n");
  });
});

describe("inNamespace()", () => {
  test("enters only the network namespace", () => {
    expect(inNamespace("/run/netns/a", ["ip", "link"])).toEqual([
      "nsenter",
      "--net=/run/netns/a",
      "--",
      "ip",
      "link",
    ]);
  });
});
