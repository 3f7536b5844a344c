// Randomness that can be had again.

/** Numbers of 31 bits that follow from the seed (a linear congruential generator, high bits). */
export function createRandom(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = (state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) & ((1n << 64n) - 1n);
    return Number(state >> 33n);
  };
}
