import { beforeEach, describe, expect, test } from "@jest/globals";
import {
  createInsideView,
  insideFactsFromMessage,
  messageFromInsideFacts,
} from "../../../../mesh/connect/inside-view.ts";
import type { ExecResult, ExecTarget } from "../../../../mesh/kubernetes/exec.ts";
import { parseBundle } from "../../../../pki/bundle.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { createFactsMaker, FACTS_NOW_MS } from "../../../fakes/cluster-facts.ts";
import { createMemoryKubernetes, type MemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

const never = new AbortController().signal;
let api: MemoryKubernetes;
let ran: ExecTarget[];

beforeEach(() => {
  ran = [];
  api = createMemoryKubernetes();
  api.put("/api/v1/namespaces/mesh/pods", {
    metadata: { name: "p-1", labels: { "app.kubernetes.io/name": "tombolo-apiserver" } },
    status: { phase: "Running" },
  });
});

function view(result: Partial<ExecResult>) {
  const run = (target: ExecTarget): Promise<ExecResult> => {
    ran.push(target);
    return Promise.resolve({ status: 0, stdout: "", stderr: "", ...result });
  };
  const clock = createFakeClock(FACTS_NOW_MS);
  return createInsideView({ transport: api, namespace: "mesh", exec: { run }, clock });
}

describe("createInsideView()", () => {
  test("brings facts as they are inside, and clocks as they are compared with ours", async () => {
    const facts = (await createFactsMaker("east", 1)).make();
    const { advertised, encryption, endpoints, prefixes, version } = facts;
    const message = messageFromInsideFacts(facts, FACTS_NOW_MS + 90_000);
    const read = await view({ stdout: JSON.stringify(message) }).readFacts("ctx", never);
    expect(read).toEqual({
      advertised,
      encryption,
      prefixes,
      version,
      peers: [],
      endpoints: endpoints.map(({ endpoint }) => ({
        endpoint,
        answer: { kind: "reachable", clockOffsetMs: 90_000 },
      })),
    });
    expect(ran[0]).toMatchObject({ pod: "p-1", container: "apiserver", argv: ["mesh", "facts"] });
  });

  test("brings what services would lose", async () => {
    const losses = [{ service: "a/b", lostBackends: 1, remainingBackends: 0 }];
    const inside = view({ stdout: JSON.stringify(losses) });
    expect(await inside.readLosses("west", never)).toEqual(losses);
    expect(ran[0]?.argv).toEqual(["mesh", "facts", "--losses-without", "west"]);
  });

  test("has another cluster's etcd probed by what is public about it", async () => {
    const { profile, bundle } = (await createFactsMaker("west", 2)).make();
    const target = { cluster: "west", endpoints: profile.etcdEndpoints, bundle };
    const answers = [{ endpoint: "e", answer: { kind: "unreachable", reason: "refused" } }];
    expect(await view({ stdout: JSON.stringify(answers) }).probe(target, never)).toEqual(answers);
    const [, , , cluster, , authorities = "", ...endpoints] = ran[0]?.argv ?? [];
    expect([cluster, ...endpoints]).toEqual(["west", ...profile.etcdEndpoints]);
    const text = Buffer.from(authorities, "base64").toString();
    expect(parseBundle(text, "sent").authorities.map(({ pem }) => pem)).toEqual(
      bundle.authorities.map(({ pem }) => pem),
    );
  });

  test.each([
    [{ status: 1, stderr: "mesh: error: Cannot read\nhint" }, "Cannot read"],
    [{ stdout: "no" }, "it is no JSON"],
  ])("says why there is no answer in %j", async (result, reason) => {
    await expect(view(result).readLosses("west", never)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(reason),
    });
  });
});

test("insideFactsFromMessage() leaves an endpoint that does not answer as it is", async () => {
  const answer = { kind: "unreachable", reason: "refused" } as const;
  const facts = (await createFactsMaker("east", 1)).make({
    endpoints: [{ endpoint: "https://e:1", answer }],
  });
  const message = messageFromInsideFacts(facts, FACTS_NOW_MS + 90_000);
  const { endpoints } = insideFactsFromMessage(message, { context: "c", nowMs: FACTS_NOW_MS });
  expect(endpoints).toEqual([{ endpoint: "https://e:1", answer }]);
});
