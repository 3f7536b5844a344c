// The profiles of a node: which endpoints share one, and which rules are about it. Subjects are
// looked for among the identities of this node's endpoints only.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { CidrNumbers } from "./cidr-numbers.ts";
import type { CompiledRule } from "./compiled-rule.ts";
import { namedPortsKey } from "./named-ports.ts";
import type { NamedPort } from "./port-prefixes.ts";
import { Profile, type ProfileOptions } from "./profile.ts";
import { createSelectorCache, type CachedSelector } from "./selector-cache.ts";

export interface Profiles {
  /** Replaces the rules of a policy; returns those that were there before. */
  setRules(policy: string, rules: readonly CompiledRule[]): readonly CompiledRule[];
  /** False if these are the identity's labels already. */
  setIdentity(identity: IdentityNumber, labels: readonly string[] | undefined): boolean;
  setEndpoint(
    key: string,
    endpoint:
      { readonly identity: IdentityNumber; readonly namedPorts: readonly NamedPort[] } | undefined,
  ): void;
  /** The profile of an endpoint. */
  of(key: string): Profile | undefined;
  /** Endpoints that are new, or have another profile, since the last call. */
  takeFresh(): ReadonlySet<string>;
  /** An identity's ports have other names. */
  touchNames(identity: IdentityNumber): void;
}

export interface ProfilesOptions extends Pick<ProfileOptions, "context" | "limits" | "onDirty"> {
  readonly numbers: Pick<CidrNumbers, "acquire" | "release">;
  /** Puts off what changes profiles (`staging.ts`). */
  readonly stage: (step: () => void) => void;
}

/** A rule of a policy, and who its subjects are. */
interface Enforced {
  readonly rule: CompiledRule;
  readonly subject: CachedSelector;
  /** Whether its prefixes have numbers on its account. */
  isNamed: boolean;
}

export function createProfiles(options: ProfilesOptions): Profiles {
  const { numbers, stage } = options;
  const labelsByIdentity = new Map<IdentityNumber, readonly string[]>();
  const rulesByPolicy = new Map<string, readonly Enforced[]>();
  const rulesBySubject = new Map<CachedSelector, Set<Enforced>>();
  const subjects = createSelectorCache({ onChange: judgeSubject });
  // As it will be once everything that is staged is done.
  const profiles = new Map<string, Shared>();
  const byIdentity = new Map<IdentityNumber, Set<Profile>>();
  const wanted = new Map<string, Shared>();
  // As it is.
  const open = new Set<Profile>();
  const inForce = new Map<string, Profile>();
  let fresh = new Set<string>();

  /** An identity has become a subject of rules, or has ceased to be one. */
  function judgeSubject(subject: CachedSelector, identity: IdentityNumber): void {
    const isSubject = subject.members.has(identity);
    for (const enforced of rulesBySubject.get(subject) ?? []) {
      nameWhereUsed(enforced);
      for (const profile of byIdentity.get(identity) ?? []) {
        if (isSubject) stage(() => profile.add(enforced.rule));
        else stage(() => profile.remove(enforced.rule));
      }
    }
  }

  /** Prefixes are numbered while the rule that names them has a subject on this node. */
  function nameWhereUsed(enforced: Enforced): void {
    const isUsed = enforced.subject.members.size > 0;
    if (isUsed === enforced.isNamed) return;
    enforced.isNamed = isUsed;
    for (const prefix of enforced.rule.prefixes) {
      if (isUsed) numbers.acquire(prefix);
      else numbers.release(prefix);
    }
  }

  function* profilesOf(subject: CachedSelector): Generator<Profile> {
    for (const identity of subject.members) yield* byIdentity.get(identity) ?? [];
  }

  function enforce(rule: CompiledRule): Enforced {
    const subject = subjects.acquire(rule.subject);
    const enforced: Enforced = { rule, subject, isNamed: false };
    const beside = rulesBySubject.get(subject);
    if (beside === undefined) rulesBySubject.set(subject, new Set([enforced]));
    else beside.add(enforced);
    nameWhereUsed(enforced);
    for (const profile of profilesOf(subject)) stage(() => profile.add(rule));
    return enforced;
  }

  function lift(enforced: Enforced): void {
    const { rule, subject, isNamed } = enforced;
    for (const profile of profilesOf(subject)) stage(() => profile.remove(rule));
    if (isNamed) for (const prefix of rule.prefixes) numbers.release(prefix);
    const beside = rulesBySubject.get(subject);
    beside?.delete(enforced);
    if (beside?.size === 0) rulesBySubject.delete(subject);
    subjects.release(subject);
  }

  function share(name: string, endpoint: Endpoint): Shared {
    const { identity, namedPorts } = endpoint;
    const labels = labelsByIdentity.get(identity);
    if (!byIdentity.has(identity)) subjects.setIdentity(identity, labels);
    const profile = new Profile({ ...options, identity, namedPorts });
    stage(() => profile.setKnown(labels !== undefined));
    for (const subject of subjects.selectorsOf(identity)) {
      for (const { rule } of rulesBySubject.get(subject) ?? []) stage(() => profile.add(rule));
    }
    open.add(profile);
    const shared = { name, profile, endpoints: 0 };
    profiles.set(name, shared);
    const beside = byIdentity.get(identity);
    if (beside === undefined) byIdentity.set(identity, new Set([profile]));
    else beside.add(profile);
    return shared;
  }

  function close({ name, profile }: Shared): void {
    profiles.delete(name);
    stage(() => {
      profile.clear();
      open.delete(profile);
    });
    const beside = byIdentity.get(profile.identity);
    beside?.delete(profile);
    if (beside?.size !== 0) return;
    byIdentity.delete(profile.identity);
    subjects.setIdentity(profile.identity, undefined);
  }

  function enter(key: string, profile: Profile | undefined): void {
    inForce.get(key)?.endpoints.delete(key);
    if (profile === undefined) {
      inForce.delete(key);
      fresh.delete(key);
    } else {
      profile.endpoints.add(key);
      inForce.set(key, profile);
      fresh.add(key);
    }
  }

  return {
    setRules(policy, rules) {
      const before = rulesByPolicy.get(policy) ?? [];
      // The new ones first: what they have in common with the old ones stays as it is.
      const now = rules.map(enforce);
      for (const enforced of before) lift(enforced);
      if (now.length > 0) rulesByPolicy.set(policy, now);
      else rulesByPolicy.delete(policy);
      return before.map(({ rule }) => rule);
    },
    setIdentity(identity, labels) {
      const before = labelsByIdentity.get(identity);
      if (sameTexts(before, labels)) return false;
      if (labels === undefined) labelsByIdentity.delete(identity);
      else labelsByIdentity.set(identity, labels);
      const own = byIdentity.get(identity);
      if (own === undefined) return true;
      subjects.setIdentity(identity, labels);
      for (const profile of own) stage(() => profile.setKnown(labels !== undefined));
      return true;
    },
    setEndpoint(key, endpoint) {
      const before = wanted.get(key);
      const name = endpoint && `${endpoint.identity} ${namedPortsKey(endpoint.namedPorts)}`;
      if (before?.name === name) return;
      if (endpoint === undefined || name === undefined) {
        wanted.delete(key);
        stage(() => enter(key, undefined));
      } else {
        const shared = profiles.get(name) ?? share(name, endpoint);
        shared.endpoints++;
        wanted.set(key, shared);
        stage(() => enter(key, shared.profile));
      }
      if (before !== undefined && --before.endpoints === 0) close(before);
    },
    of: (key) => inForce.get(key),
    takeFresh() {
      const taken = fresh;
      fresh = new Set();
      return taken;
    },
    touchNames(identity) {
      for (const { sides } of open) {
        if (sides.egress.namesPeersPorts) sides.egress.touch(identity);
      }
    },
  };
}

/** A profile that will be in force, and how many endpoints will have it. */
interface Shared {
  readonly name: string;
  readonly profile: Profile;
  endpoints: number;
}

type Endpoint = Pick<ProfileOptions, "identity" | "namedPorts">;

function sameTexts(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
