// One Jest project per tier of DESIGN.md ("How we know it works"); tests/run.ts picks the tiers
// that this machine can run. All of them share the settings below.
const shared = {
  testEnvironment: "<rootDir>/tests/jest/leak-environment.mjs",
  extensionsToTreatAsEsm: [".ts"],
  transform: { "\\.ts$": "<rootDir>/tests/jest/strip-types.mjs" },
  // koffi and the gRPC stack are CommonJS and are left as they are.
  transformIgnorePatterns: ["/node_modules/"],
  modulePathIgnorePatterns: ["<rootDir>/build/"],
};

/** Jest's 5 s fail on a busy machine; a test that hangs is still ended. Slow tests give their own. */
const TEST_LIMIT_MS = 120_000;

const tiers = [
  "unit",
  "contract",
  "bpf",
  "integration",
  "kubernetes",
  "e2e",
  "kubernetes-lab",
  "vm",
  "browser",
];

export default {
  testTimeout: TEST_LIMIT_MS,
  projects: tiers.map((tier) => ({
    ...shared,
    displayName: tier,
    testMatch: [`<rootDir>/tests/${tier}/**/*.test.ts`],
  })),
};
