// What Kubernetes lets its objects be called, as rules for the texts of a record. Records name
// the objects of another cluster; a name that Kubernetes would refuse cannot be one of them.
import type { TextRule } from "./record-fields.ts";

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/;

export const NAMESPACE_NAME: TextRule = {
  maxLength: 63,
  pattern: DNS_LABEL,
  want: "a namespace's name (at most 63 of a-z, 0-9, -)",
};

export const SERVICE_NAME: TextRule = {
  maxLength: 63,
  pattern: DNS_LABEL,
  want: "a service's name (at most 63 of a-z, 0-9, -)",
};

export const NODE_NAME: TextRule = {
  maxLength: 253,
  pattern: DNS_SUBDOMAIN,
  want: "a node's name (at most 253 of a-z, 0-9, -, .)",
};

export const POD_NAME: TextRule = {
  maxLength: 253,
  pattern: DNS_SUBDOMAIN,
  want: "a pod's name (at most 253 of a-z, 0-9, -, .)",
};

export const SERVICE_ACCOUNT_NAME: TextRule = {
  maxLength: 253,
  pattern: DNS_SUBDOMAIN,
  want: "a service account's name (at most 253 of a-z, 0-9, -, .)",
};

/** Service port names are DNS labels, container port names at most 15 long; "" is unnamed. */
export const PORT_NAME: TextRule = {
  maxLength: 63,
  pattern: /^[-a-zA-Z0-9_.]+$/,
  want: "a port's name (at most 63 of a-z, 0-9, -)",
  optional: true,
};

/** A DNS subdomain of 253, a slash and a name of 63. */
export const LABEL_KEY: TextRule = {
  maxLength: 317,
  pattern: /^[a-zA-Z0-9][-a-zA-Z0-9_./]*$/,
  want: "a label key (at most 317 of letters, digits, -, _, ., /)",
};

export const LABEL_VALUE: TextRule = {
  maxLength: 63,
  pattern: /^[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$/,
  want: "a label value (at most 63 of letters, digits, -, _, .)",
  optional: true,
};

/** Kubernetes bounds all annotations of an object together by 256 KiB; one may be any text. */
export const ANNOTATION_VALUE: TextRule = {
  maxLength: 262_144,
  pattern: /^[^\0\p{Cs}]*$/u,
  want: "text of at most 256 KiB",
  optional: true,
};
