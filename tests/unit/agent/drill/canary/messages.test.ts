// Targets and answers, checked.
import { describe, expect, test } from "@jest/globals";
import { parseCanaryTarget, readAnswer } from "../../../../../agent/drill/canary/messages.ts";

describe("parseCanaryTarget()", () => {
  for (const [text, host] of [
    ["tcp:10.97.0.10:80", "10.97.0.10"],
    ["udp:[fd00:96:1:0::a]:80", "fd00:96:1::a"],
  ] as const) {
    test(`reads ${text}`, () => {
      expect(parseCanaryTarget(text)).toEqual({ protocol: text.slice(0, 3), host, port: 80 });
    });
  }

  for (const text of [
    "",
    "10.97.0.10:80",
    "tcp:cart.shop:80",
    "tcp:10.97.0.256:80",
    "tcp:fd00::1:80",
    "tcp:[10.97.0.10]:80",
    "tcp:10.97.0.10:0",
    "tcp:10.97.0.10:65536",
    "sctp:10.97.0.10:80",
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseCanaryTarget(text)).toThrow(/want tcp:ADDRESS:PORT/);
    });
  }
});

describe("readAnswer()", () => {
  for (const [line, expected] of [
    ["west/a 7", { answer: "west/a" }],
    ["west/a", { answer: "west/a" }],
    ["west/a 8", { error: "the answer is to request 8" }],
    ["", { error: "the answer is no line of an echo" }],
    ["HTTP/1.1 400 Bad Request", { error: "the answer is no line of an echo" }],
  ] as const) {
    test(`takes ${JSON.stringify(line)} for ${JSON.stringify(expected)}`, () => {
      expect(readAnswer(line, 7)).toEqual(expected);
    });
  }
});
