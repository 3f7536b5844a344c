import { describe, expect, test } from "@jest/globals";
import { eventOfTransition } from "../../../../agent/health/health-events.ts";
import type { HealthSubject, Transition } from "../../../../agent/health/observation.ts";

const west = { clusterId: 2, cluster: "west", family: 4 } as const;

function event(subject: HealthSubject, from: Transition["from"], to: Transition["to"]) {
  return eventOfTransition({ subject, from, to, atMs: 1, evidence: { silentRounds: 4 } });
}

describe("eventOfTransition()", () => {
  test("says what a cluster's state means, with its evidence", () => {
    expect(event({ kind: "cluster", ...west }, "suspect", "down")).toEqual({
      kind: "cluster-health",
      severity: "error",
      subject: "west",
      from: "suspect",
      to: "down",
      text: 'Cluster "west" was suspect and is down over IPv4: new connections go elsewhere',
      evidence: { family: 4, silentRounds: 4 },
    });
  });

  test("says that a step of the return is one", () => {
    const { text, severity } = event({ kind: "cluster", ...west }, "recovering", "recovering");
    expect(text).toContain('"west" is still recovering over IPv4');
    expect(severity).toBe("info");
  });

  const cases: readonly [HealthSubject, Transition["to"], string, string][] = [
    [{ kind: "node", ...west, node: "west-1" }, "down", "west/west-1", "node-health"],
    [
      { kind: "backend", ...west, backendId: 7, node: undefined },
      "down",
      "west/?",
      "backend-health",
    ],
    [{ kind: "isolation" }, "isolated", "uplink", "isolation"],
    [{ kind: "isolation" }, "connected", "uplink", "isolation"],
  ];
  for (const [subject, to, name, kind] of cases) {
    test(`names ${subject.kind} that is ${to} as ${name}`, () => {
      expect(event(subject, "healthy", to)).toMatchObject({ subject: name, kind });
    });
  }
});
