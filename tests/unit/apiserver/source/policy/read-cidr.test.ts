import { expect, test } from "@jest/globals";
import { parseCidr } from "../../../../../apiserver/source/policy/read-cidr.ts";

test.each([
  ["10.1.2.3/8", "10.0.0.0/8"],
  ["10.1.2.3", "10.1.2.3/32"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["FD00::1/64", "fd00::/64"],
  ["::1", "::1/128"],
])("parseCidr() makes %s canonical", (text, prefix) => {
  expect(parseCidr(text).text).toBe(prefix);
});

test.each(["", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/8/8", "a/8", "fd00::/129"])(
  'parseCidr() refuses "%s"',
  (text) => {
    expect(() => parseCidr(text)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  },
);
