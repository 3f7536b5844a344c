// YAML documents as trees that Fields reads: aliases are followed, places are kept.
import { isAlias, isMap, isScalar, isSeq, type Document, type Node } from "yaml";
import type { Tree } from "../fields.ts";

/** The nodes are the document's own; its contents are the root. */
export function yamlTree(document: Document): Tree {
  const resolve = (node: unknown): unknown => (isAlias(node) ? node.resolve(document) : node);
  return {
    kind: (node) => (isMap(node) ? "map" : isSeq(node) ? "list" : "scalar"),
    field: (map, name) => (isMap(map) ? resolve(map.get(name, true)) : undefined),
    keys: (map) =>
      isMap(map)
        ? map.items.map(({ key }) =>
            isScalar(key) && typeof key.value === "string" ? key.value : undefined,
          )
        : [],
    items: (list) => (isSeq(list) ? list.items.map(resolve) : []),
    scalar: (node) => (isScalar(node) ? node.value : undefined),
    offset: (node) => (node as Node | undefined)?.range?.[0],
  };
}
