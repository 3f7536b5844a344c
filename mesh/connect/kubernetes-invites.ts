// The invite store of a Kubernetes cluster: all invitations in one Secret, a key each. What is
// written is only ever one invitation, so that `mesh invite` and the join server do not undo each
// other's.
import type { Clock } from "../core/clock.ts";
import { withTimeout } from "../core/clock.ts";
import { INVITES_SECRET } from "../kubernetes/object-names.ts";
import { readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import { updateObject } from "../kubernetes/update-object.ts";
import {
  isInviteId,
  openInvite,
  refuseTooMany,
  type Invite,
  type InviteStore,
} from "./invite-store.ts";
import { invitesFromSecret, secretFromInvites, type Secret } from "./kubernetes-objects.ts";

/** One read and one write of an object, and a few more when others write too. */
const CALL_LIMIT_MS = 20_000;

export function createKubernetesInviteStore(options: {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  readonly clock: Clock;
}): InviteStore {
  const { transport, namespace, clock } = options;
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  const limited = <T>(doing: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    withTimeout(work, {
      ms: CALL_LIMIT_MS,
      what: `Cannot ${doing} Secret ${namespace}/${INVITES_SECRET}`,
      clock,
      signal: new AbortController().signal,
    });
  const list = async (): Promise<readonly Invite[]> =>
    limited("read", async (signal) =>
      invitesFromSecret(
        await readObject<Secret>(transport, `${collection}/${INVITES_SECRET}`, signal),
      ),
    );
  const change = (apply: (secret: Secret | undefined) => Secret | undefined): Promise<void> =>
    limited("change", (signal) =>
      updateObject(transport, { collection, name: INVITES_SECRET, change: apply }, signal),
    );
  const write = (invite: Invite): Promise<void> =>
    change((secret) => {
      const written = secretFromInvites([invite], namespace);
      return { ...(secret ?? written), data: { ...secret?.data, ...written.data } };
    });
  return {
    create: async (wanted) => {
      const hint = `kubectl -n ${namespace} delete secret ${INVITES_SECRET} forgets them all`;
      refuseTooMany(await list(), hint);
      const invite = openInvite(wanted);
      await write(invite);
      return invite;
    },
    read: async (id) =>
      isInviteId(id) ? (await list()).find((invite) => invite.id === id) : undefined,
    list,
    write,
    delete: (id) =>
      change((secret) => {
        const { [id]: gone, ...data } = secret?.data ?? {};
        return secret === undefined || gone === undefined ? secret : { ...secret, data };
      }),
  };
}
