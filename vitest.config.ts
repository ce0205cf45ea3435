import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks', // a crash in native code takes down one file, not the run
    maxWorkers: 1, // training uses all cores already
    testTimeout: 60_000, // of tests that share the machine with others
  },
});
