// Which number stands for which rule of which object. A number that was given out is in maps and
// in records that are still to be read: it never comes to mean another rule.
import type { RuleRef } from "./plane.ts";

export interface RuleName {
  /** `policyKey()` of the object. */
  readonly policy: string;
  /** `TrafficRule.path`. */
  readonly path: string;
}

export interface RuleNumbers {
  /** The rule's number; the same one for as long as it is remembered. */
  acquire(name: RuleName): RuleRef;
  release(rule: RuleRef): void;
  nameOf(number: number): RuleName | undefined;
}

/**
 * How many rules are remembered that no policy has any more: what is read within minutes of a
 * change should still have its name, and churn over years should not fill the memory.
 */
export const RETIRED_RULES_MAX = 65_536;

interface Numbered extends RuleRef {
  readonly name: RuleName;
  uses: number;
}

export function createRuleNumbers(options: { readonly first: number }): RuleNumbers {
  const byOrder = new Map<string, Numbered>();
  const byNumber = new Map<number, Numbered>();
  /** In the order in which they went. */
  const retired = new Set<Numbered>();
  let next = options.first;

  return {
    acquire(name) {
      const order = orderOf(name);
      let rule = byOrder.get(order);
      if (rule === undefined) {
        rule = { number: next++, order, name, uses: 0 };
        byOrder.set(order, rule);
        byNumber.set(rule.number, rule);
      }
      rule.uses++;
      retired.delete(rule);
      return rule;
    },
    release({ order }) {
      const rule = byOrder.get(order);
      if (rule === undefined || --rule.uses > 0) return;
      retired.add(rule);
      if (retired.size <= RETIRED_RULES_MAX) return;
      const [oldest] = retired;
      if (oldest === undefined) return;
      retired.delete(oldest);
      byOrder.delete(oldest.order);
      byNumber.delete(oldest.number);
    },
    nameOf: (number) => byNumber.get(number)?.name,
  };
}

/** Objects in the order of their keys, and the rules of one in that of their paths' texts. */
function orderOf({ policy, path }: RuleName): string {
  return `${policy} ${path}`;
}
