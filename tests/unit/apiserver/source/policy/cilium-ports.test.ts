import { describe, expect, test } from "@jest/globals";
import type { PortMatch } from "../../../../../mesh/core/policy.ts";
import { ciliumPolicyText, ciliumRule, problemsOf } from "./converted.ts";

const FROM_ALL = "fromEntities: [all]\n";
const ports = (port: string): string => `${FROM_ALL}toPorts: [{ports: [${port}]}]`;

describe("portsFromRule()", () => {
  const honoured: [string, string, PortMatch[] | undefined][] = [
    ["every port without toPorts", FROM_ALL, undefined],
    ["every port in an empty list", `${FROM_ALL}toPorts: []`, undefined],
    ["no port in a rule for ports without any", `${FROM_ALL}toPorts: [{}]`, []],
    [
      "a port of a protocol",
      ports("{port: '80', protocol: TCP}"),
      [{ protocol: "TCP", first: 80, last: 80 }],
    ],
    ["a port of any protocol", ports("{port: '80'}"), [{ protocol: "ANY", first: 80, last: 80 }]],
    [
      "a number that is written as one",
      ports("{port: 80, protocol: SCTP}"),
      [{ protocol: "SCTP", first: 80, last: 80 }],
    ],
    [
      "a range",
      ports("{port: '80', endPort: 90, protocol: UDP}"),
      [{ protocol: "UDP", first: 80, last: 90 }],
    ],
    [
      "every port as port 0",
      ports("{port: '0', protocol: TCP}"),
      [{ protocol: "TCP", first: 0, last: 65535 }],
    ],
    [
      "a name, however it is written",
      ports("{port: HTTP, protocol: TCP}"),
      [{ protocol: "TCP", name: "http" }],
    ],
    [
      "rules of no layer 7",
      `${FROM_ALL}toPorts: [{ports: [{port: '1'}], rules: {}, serverNames: []}]`,
      [{ protocol: "ANY", first: 1, last: 1 }],
    ],
    [
      "ICMP by number",
      `${FROM_ALL}icmps: [{fields: [{type: 8}, {type: 128, family: IPv6}]}]`,
      [
        { protocol: "ICMP", type: 8 },
        { protocol: "ICMPv6", type: 128 },
      ],
    ],
    [
      "ICMP by name",
      `${FROM_ALL}icmps: [{fields: [{type: EchoRequest}, {type: PacketTooBig, family: IPv6}]}]`,
      [
        { protocol: "ICMP", type: 8 },
        { protocol: "ICMPv6", type: 2 },
      ],
    ],
  ];
  test.each(honoured)("means %s", (_, rule, expected) => {
    const traffic = ciliumRule("ingress", rule);
    expect(traffic.refusals).toEqual([]);
    expect(traffic.ports).toEqual(expected);
  });

  const refused: [string, string, string][] = [
    [
      "rules of layer 7",
      "toPorts: [{ports: [{port: '80'}], rules: {http: [{method: GET}]}}]",
      "toPorts[0].rules",
    ],
    [
      "TLS that is ended",
      "toPorts: [{ports: [{port: '80'}], terminatingTLS: {}}]",
      "toPorts[0].terminatingTLS",
    ],
    [
      "names of servers",
      "toPorts: [{ports: [{port: '80'}], serverNames: [a]}]",
      "toPorts[0].serverNames",
    ],
    [
      "a listener",
      "toPorts: [{ports: [{port: '80'}], listener: {name: a}}]",
      "toPorts[0].listener",
    ],
    ["an unknown field", "toPorts: [{ports: [{port: '80'}], x: y}]", "toPorts[0].x"],
    [
      "an unknown field of a port",
      "toPorts: [{ports: [{port: '80', x: y}]}]",
      "toPorts[0].ports[0].x",
    ],
    [
      "ICMP as a port",
      "toPorts: [{ports: [{port: '8', protocol: ICMP}]}]",
      "toPorts[0].ports[0].protocol",
    ],
    [
      "a range that goes back",
      "toPorts: [{ports: [{port: '9', endPort: 8}]}]",
      "toPorts[0].ports[0].endPort",
    ],
    [
      "a range from a name",
      "toPorts: [{ports: [{port: web, endPort: 8}]}]",
      "toPorts[0].ports[0].endPort",
    ],
    [
      "an ICMP type that nobody knows",
      "icmps: [{fields: [{type: Moon}]}]",
      "icmps[0].fields[0].type",
    ],
    [
      "ICMP beside ports",
      "{toPorts: [{ports: [{port: '1'}]}], icmps: [{fields: [{type: 1}]}]}",
      "icmps",
    ],
  ];
  test.each(refused)("refuses %s: no port is allowed, every port denied", (_, rule, path) => {
    const allowed = ciliumRule("egress", rule);
    expect(allowed.ports).toEqual([]);
    expect(allowed.refusals).toEqual([
      expect.stringMatching(/^spec\.egress\[0\]\..*; the rule allows no port by it$/),
    ]);
    expect(allowed.refusals[0]).toContain(`.${path}: `);
    const denied = ciliumRule("egressDeny", rule);
    expect(denied).toMatchObject({ peers: undefined, ports: undefined });
    expect(denied.refusals).toEqual([expect.stringMatching(/; the rule denies every port$/)]);
  });

  test("keeps the ports that can be honoured beside others", () => {
    const rule = "toPorts: [{ports: [{port: '1'}]}, {ports: [{port: '2'}], rules: {dns: [{}]}}]";
    expect(ciliumRule("egress", rule).ports).toEqual([{ protocol: "ANY", first: 1, last: 1 }]);
  });

  test.each([
    ["a port beyond the range", "toPorts: [{ports: [{port: '65536'}]}]", "want at most 65535"],
    ["a port that is neither", "toPorts: [{ports: [{port: a_b}]}]", "want a number or the name"],
    ["no port", "toPorts: [{ports: [{protocol: TCP}]}]", "port: it is missing"],
    ["a family that is none", "icmps: [{fields: [{type: 1, family: v4}]}]", "want IPv4 or IPv6"],
    ["an ICMP type of 256", "icmps: [{fields: [{type: 256}]}]", "a whole number from 0 to 255"],
  ])("cannot use %s", (_, rule, message) => {
    const text = ciliumPolicyText(`endpointSelector: {}\ningress:\n- ${rule}`);
    expect(problemsOf(text)).toEqual([expect.stringContaining(message)]);
  });
});
