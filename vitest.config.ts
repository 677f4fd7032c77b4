import { defineConfig } from 'vitest/config'

/** They replace what their process has for all: its fetch, its clock, the driver's settings. */
const alone = [
  'test/chaos/chaos.test.ts',
  'test/http/authenticate.test.ts',
  'test/routes/sign-up.test.ts',
  'test/actions/sso-egress.test.ts',
  'test/local/neon-*.test.ts',
  'test/connectors/files/bad-parquet.test.ts',
]

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // Most of a test's time is waiting for servers, so more of them than cores.
    maxWorkers: 4,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      // Files share their process: loading everything anew for each was a third of the time.
      {
        extends: true,
        test: {
          name: 'weir',
          include: ['test/**/*.test.ts'],
          exclude: ['test/browser/**', 'test/**/*.long.test.ts', ...alone],
          isolate: false,
        },
      },
      { extends: true, test: { name: 'weir-alone', include: alone, exclude: ['**/*.long.test.ts'] } },
      // Each of these takes a quarter of a minute and more; what they prove has a short form in the others.
      { extends: true, test: { name: 'long', include: ['test/**/*.long.test.ts'] } },
      // Needs Debian's Chromium, which npm cannot bring; see .ci/run.
      { extends: true, test: { name: 'browser', include: ['test/browser/**/*.test.ts'] } },
    ],
  },
})
