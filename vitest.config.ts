import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // Most of a test's time is waiting for servers, so more of them than cores.
    maxWorkers: 4,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'weir', include: ['test/**/*.test.ts'], exclude: ['test/browser/**'] } },
      // Needs Debian's Chromium, which npm cannot bring; see .ci/run.
      { extends: true, test: { name: 'browser', include: ['test/browser/**/*.test.ts'] } },
    ],
  },
})
