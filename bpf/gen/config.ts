// Generated from the BTF of the C programs by `make -C bpf generate`. Not to be edited.
import type { Codec } from "../codec.ts";

export interface OverlayConfig {
  /** Interface index of the node's VXLAN device. */
  readonly overlayIfindex: number;
  /** The first identity of the own cluster; 0: not known. */
  readonly ownIdentityFirst: number;
  /** The last identity of the own cluster. */
  readonly ownIdentityLast: number;
  /** UDP port of every node's VXLAN device. */
  readonly overlayPort: number;
  /** Where in an identity the cluster's id begins; 0: not known. */
  readonly clusterIdShift: number;
}

export const overlayConfigCodec: Codec<OverlayConfig> = {
  name: ".rodata.config",
  size: 16,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.overlayIfindex, true);
    memory.view.setUint32(offset + 4, value.ownIdentityFirst, true);
    memory.view.setUint32(offset + 8, value.ownIdentityLast, true);
    memory.view.setUint16(offset + 12, value.overlayPort, true);
    memory.view.setUint16(offset + 14, value.clusterIdShift, true);
  },
  decode: (memory, offset) => ({
    overlayIfindex: memory.view.getUint32(offset, true),
    ownIdentityFirst: memory.view.getUint32(offset + 4, true),
    ownIdentityLast: memory.view.getUint32(offset + 8, true),
    overlayPort: memory.view.getUint16(offset + 12, true),
    clusterIdShift: memory.view.getUint16(offset + 14, true),
  }),
};

export interface PodConfig {
  /** Interface index of the node's VXLAN device. */
  readonly overlayIfindex: number;
  /** The first identity of the own cluster; 0: not known. */
  readonly ownIdentityFirst: number;
  /** The last identity of the own cluster. */
  readonly ownIdentityLast: number;
  /** UDP port of every node's VXLAN device. */
  readonly overlayPort: number;
  /** Where in an identity the cluster's id begins; 0: not known. */
  readonly clusterIdShift: number;
}

export const podConfigCodec: Codec<PodConfig> = {
  name: ".rodata.config",
  size: 16,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.overlayIfindex, true);
    memory.view.setUint32(offset + 4, value.ownIdentityFirst, true);
    memory.view.setUint32(offset + 8, value.ownIdentityLast, true);
    memory.view.setUint16(offset + 12, value.overlayPort, true);
    memory.view.setUint16(offset + 14, value.clusterIdShift, true);
  },
  decode: (memory, offset) => ({
    overlayIfindex: memory.view.getUint32(offset, true),
    ownIdentityFirst: memory.view.getUint32(offset + 4, true),
    ownIdentityLast: memory.view.getUint32(offset + 8, true),
    overlayPort: memory.view.getUint16(offset + 12, true),
    clusterIdShift: memory.view.getUint16(offset + 14, true),
  }),
};
