// Generated from the BTF of the C programs by `make -C bpf generate`. Not to be edited.
import type { Codec } from "../codec.ts";

export interface PodConfig {
  /** Interface index of the node's VXLAN device. */
  readonly overlayIfindex: number;
}

export const podConfigCodec: Codec<PodConfig> = {
  name: ".rodata",
  size: 4,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.overlayIfindex, true);
  },
  decode: (memory, offset) => ({
    overlayIfindex: memory.view.getUint32(offset, true),
  }),
};
