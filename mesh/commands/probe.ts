// `mesh probe`: whether this machine reaches a cluster's etcd, and whether it is that cluster's.
// What another machine's `mesh` asks in an apiserver's container before it connects clusters.
import { parseBundle } from "../../pki/bundle.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { probeEndpoint } from "../connect/endpoint-probe.ts";
import { parseClusterName } from "../core/cluster.ts";
import { formatJson } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh probe --cluster NAME --authorities BASE64 ENDPOINT...

For machines: prints as JSON which of a cluster's etcd endpoints can be reached from here and prove
to be that cluster's. mesh connect runs it in the apiserver's container of each cluster, about the
other's endpoints. It reads nothing and needs no certificate.

  --cluster      the cluster that the endpoints must belong to
  --authorities  that cluster's ca-bundle.crt, in base64

Example:
  mesh probe --cluster west --authorities "$(base64 -w0 ca-bundle.crt)" https://192.0.2.7:32379
`;

const FLAGS = { cluster: { type: "string" }, authorities: { type: "string" } } as const;

export const probeCommand: Command = {
  name: "probe",
  summary: "for machines: whether a cluster's etcd can be reached from here",
  usage: USAGE,
  async run(args, { clock, signal, stdout }) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const { cluster, authorities } = values;
    if (cluster === undefined || authorities === undefined || positionals.length === 0) {
      throw usageError("Cannot probe: want --cluster, --authorities and endpoints", USAGE);
    }
    const serverName = meshServerName(parseClusterName(cluster));
    const bundle = parseBundle(
      Buffer.from(authorities, "base64").toString("utf8"),
      "in --authorities",
    );
    const answers = await Promise.all(
      positionals.map((endpoint) =>
        probeEndpoint({ endpoint, serverName, bundle, client: undefined, clock }, signal),
      ),
    );
    stdout.write(formatJson(answers));
    return 0;
  },
};
