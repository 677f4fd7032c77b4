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

/** They take samples, and leave nothing out in the long form. */
const sampled = [
  'test/connectors/files/{bad-text,csv,ndjson,parquet}.test.ts',
  'test/db/schedules.test.ts',
  'test/domain/{condition,pipeline,pipeline-kinds}.test.ts',
  'test/engine/ahead.test.ts',
  'test/faults/{bad-destination,bad-files,engine.property}.test.ts',
  'test/routes/{runs-logs,walk}.test.ts',
]

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // Most of a test's time is waiting for servers, so more of them than cores.
    maxWorkers: 4,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    provide: { isLongForm: false },
    // Room for what lives shortly: requests leave much of it, and collecting it often costs a twentieth of the time.
    execArgv: ['--max-semi-space-size=64'],
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
      {
        extends: true,
        test: {
          name: 'long',
          include: ['test/**/*.long.test.ts', ...sampled],
          provide: { isLongForm: true },
        },
      },
      // Needs Debian's Chromium, which npm cannot bring; see .ci/run.
      { extends: true, test: { name: 'browser', include: ['test/browser/**/*.test.ts'] } },
    ],
  },
})
