import { bundles, sizeOf } from '#local/build.ts'
import { measured, type Benchmark } from './measure.ts'

/** The Worker as it is uploaded, without the WebAssembly beside it. */
export const size: Benchmark = {
  names: ['bundle_gzip'],
  targets: { bundle_gzip: { atMost: 1_024 } },
  async run() {
    const { gzipBytes } = await sizeOf(bundles.workerd)
    return { bundle_gzip: measured([gzipBytes / 1024], 'KiB') }
  },
}
