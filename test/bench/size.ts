import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { bundles } from '#local/build.ts'
import { measured, type Benchmark } from './measure.ts'

/** The Worker as it is uploaded, without the WebAssembly beside it. */
export const size: Benchmark = {
  names: ['bundle_gzip'],
  targets: { bundle_gzip: { atMost: 1_024 } },
  async run() {
    const text = await readFile(bundles.workerd)
    return { bundle_gzip: measured([gzipSync(text, { level: 9 }).length / 1024], 'KiB') }
  },
}
