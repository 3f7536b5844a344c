import { describe, expect, test } from "@jest/globals";
import { PassThrough } from "node:stream";
import { parseLine, readLine } from "../../../../mesh/operations/nats-lines.ts";

describe("readLine()", () => {
  test("takes one line, in whatever pieces it comes, and leaves the rest", async () => {
    const stream = new PassThrough();
    const line = readLine(stream);
    for (const piece of ["INFO {", "}\r", "\nPING\r\n"]) stream.write(piece);
    expect(await line).toBe("INFO {}");
    stream.end();
    const rest: Buffer[] = [];
    for await (const chunk of stream) rest.push(chunk as Buffer);
    expect(Buffer.concat(rest).toString()).toBe("PING\r\n");
  });

  test("ends with the stream, its error, or too much of a line", async () => {
    const ended = new PassThrough();
    ended.end("INFO");
    await expect(readLine(ended)).rejects.toMatchObject({
      code: "unavailable",
      message: "Cannot speak NATS with it: it ends without a word",
    });
    const broken = new PassThrough();
    const line = readLine(broken);
    broken.destroy(new Error("cut"));
    await expect(line).rejects.toThrow("cut");
    const endless = new PassThrough();
    endless.write("x".repeat(40_000));
    await expect(readLine(endless)).rejects.toThrow("the first line does not end");
    endless.destroy();
  });
});

describe("parseLine()", () => {
  test("gives what the line says", () => {
    expect(parseLine("INFO", 'INFO {"tls_required":true} ')).toEqual({ tls_required: true });
    expect(parseLine("CONNECT", 'connect {"a":{}}')).toEqual({ a: {} });
  });

  for (const [line, message] of [
    ["", "it does not begin with INFO"],
    ["-ERR 'no'", "it does not begin with INFO"],
    ["CONNECT {}", "it does not begin with INFO"],
    ["INFO {]}", "its INFO is no JSON"],
  ] as const) {
    test(`refuses "${line}"`, () => {
      expect(() => parseLine("INFO", line)).toThrow(message);
    });
  }
});
