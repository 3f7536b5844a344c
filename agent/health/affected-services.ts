// Which services use a backend. Pure. A walk over all slots, some milliseconds for 100,000 of them:
// it is made when a backend's health changes, after the datapath has been told, and it spares an
// index beside every backend that would be asked next to never.
import type { ServiceState } from "../apply/service-state.ts";

export function servicesWithBackends(
  ids: readonly number[],
  known: {
    readonly state: Pick<ServiceState, "frontends">;
    /** The service of a frontend, as `namespace/name`. */
    readonly serviceOf: (frontendKey: string) => string | undefined;
  },
): ReadonlySet<string> {
  const wanted = new Set(ids);
  const services = new Set<string>();
  for (const [key, { groups }] of known.state.frontends) {
    if (!groups.some(({ slots }) => slots.some((id) => wanted.has(id)))) continue;
    const service = known.serviceOf(key);
    if (service !== undefined) services.add(service);
  }
  return services;
}
