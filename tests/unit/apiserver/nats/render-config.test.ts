import { describe, expect, test } from "@jest/globals";
import {
  dialledEndpoints,
  needsRestart,
  renderNatsConfig,
  type NatsConfig,
} from "../../../../apiserver/nats/render-config.ts";

const TLS = { caBundle: "/n/ca.crt", certificate: "/n/s.crt", key: "/n/s.key" };
const CONFIG: NatsConfig = {
  cluster: "east",
  listen: "198.18.1.2:4222",
  leafListen: "198.18.1.2:7422",
  monitorListen: "127.0.0.1:8222",
  storeDirectory: "/n/jetstream",
  pidFile: "/n/nats.pid",
  logFile: "/n/nats.log",
  tls: TLS,
  acceptQuestions: false,
  peers: [
    { name: "north", dial: { endpoints: ["198.18.3.2:7422", "[fd00::3]:7422"], tls: TLS } },
    { name: "a", dial: undefined },
  ],
};
interface Rendered {
  readonly accounts: Record<string, { users: unknown; exports: unknown; imports: unknown }>;
  readonly leafnodes: { remotes: { urls: string[]; account: string }[] };
}
const render = (change: Partial<NatsConfig> = {}): Rendered =>
  JSON.parse(renderNatsConfig({ ...CONFIG, ...change })) as Rendered;

describe("renderNatsConfig()", () => {
  test("gives each peer an account that hears what is ours and says what is its own", () => {
    expect(render().accounts["PEER_north"]).toEqual({
      users: [{ user: "CN=remote-north", allowed_connection_types: ["LEAFNODE"] }],
      exports: [
        { stream: "tombolo.events.north.*", accounts: ["MESH"] },
        { stream: "tombolo.drills.north.*", accounts: ["MESH"] },
        { service: "tombolo.ask.north.>", accounts: ["MESH"] },
      ],
      imports: [
        { stream: { account: "MESH", subject: "tombolo.events.east.*" } },
        { stream: { account: "MESH", subject: "tombolo.drills.east.*" } },
      ],
    });
  });

  test("lets peers ask us only if that is configured", () => {
    const asked = { service: { account: "MESH", subject: "tombolo.ask.east.>" } };
    const offered = { service: "tombolo.ask.east.>", accounts: ["PEER_north", "PEER_a"] };
    const closed = render().accounts;
    expect(closed["PEER_a"]?.imports).not.toContainEqual(asked);
    expect(closed["MESH"]?.exports).not.toContainEqual(offered);
    const open = render({ acceptQuestions: true }).accounts;
    expect(open["PEER_a"]?.imports).toContainEqual(asked);
    expect(open["MESH"]?.exports).toContainEqual(offered);
  });

  test("dials with addresses first, and with a name that is nobody's last", () => {
    const [remote, ...more] = render().leafnodes.remotes;
    expect(more).toEqual([]);
    expect(remote?.account).toBe("PEER_north");
    expect(remote?.urls.slice(0, -1)).toEqual(["tls://198.18.3.2:7422", "tls://[fd00::3]:7422"]);
    const name = new URL(remote?.urls.at(-1) ?? "").hostname;
    expect(name.split(".")[0]).toHaveLength(64);
    expect(name.endsWith(".mesh.cilium.io")).toBe(true);
  });

  test("exports to nobody without peers: no list would mean everybody", () => {
    const { MESH } = render({ peers: [], acceptQuestions: true }).accounts;
    expect([MESH?.exports, MESH?.imports]).toEqual([[], []]);
  });
});

describe("dialledEndpoints()", () => {
  test("reads where peers are dialled", () => {
    expect([...dialledEndpoints(renderNatsConfig(CONFIG))]).toEqual([
      ["north", ["198.18.3.2:7422", "[fd00::3]:7422"]],
    ]);
  });
});

describe("needsRestart()", () => {
  test("is for every change of the text", () => {
    const text = renderNatsConfig(CONFIG);
    expect(needsRestart(text, text)).toBe(false);
    expect(needsRestart(text, renderNatsConfig({ ...CONFIG, peers: [] }))).toBe(true);
  });
});
