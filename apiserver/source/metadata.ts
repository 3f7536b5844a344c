// What every Kubernetes object says of itself, read and checked. Pure.
import type { Fields } from "./fields.ts";

/** A DNS subdomain, which is what names of nodes and pods are; labels and slices are narrower. */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export function metadata(fields: Fields): Fields {
  const meta = fields.map("metadata");
  if (meta === undefined) throw fields.error("metadata", "it is missing");
  return meta;
}

export function objectName(meta: Fields): string {
  const name = meta.text("name");
  if (OBJECT_NAME.test(name)) return name;
  throw meta.error("name", "want lower-case letters, digits, dashes and dots");
}

export function namespaceName(meta: Fields): string {
  const name = meta.optionalText("namespace") || "default";
  if (OBJECT_NAME.test(name) && !name.includes(".")) return name;
  throw meta.error("namespace", "want lower-case letters, digits and dashes");
}
