import { defineConfig } from 'vitest/config';

// Rings, ports and processes are real: files run one after another, so that two cores are enough for each.
export default defineConfig({
  test: {
    include: ['__test__/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
