// JSON values as trees that Fields reads. Places are not kept: an object of the Kubernetes API is
// named, not pointed at.
import type { Tree } from "../fields.ts";

export const JSON_TREE: Tree = {
  kind: (node) => (Array.isArray(node) ? "list" : isObject(node) ? "map" : "scalar"),
  field: (map, name) => (isObject(map) && Object.hasOwn(map, name) ? map[name] : undefined),
  keys: (map) => (isObject(map) ? Object.keys(map) : []),
  items: (list) => (Array.isArray(list) ? list : []),
  scalar: (node) => node,
  offset: () => undefined,
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
