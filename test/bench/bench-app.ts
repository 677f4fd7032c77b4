import { createApp } from '#src/app.ts'
import { readEnv } from '#src/env.ts'
import type { Services } from '#src/actions/context.ts'
import { buildServices } from '#src/services.ts'
import type { Stack } from '#local/stack.ts'
import { grammar } from '#test/support/grammar.ts'
import { quickjs } from '#test/support/quickjs.ts'
import { serve } from '#test/support/server.ts'

export type BenchApp = { url: string; services: Services; close(): Promise<void> }

/** The app in this process instead of a Worker, on a stack that has none, where a benchmark changes its services. */
export async function startBenchApp(
  stack: Stack,
  change: (services: Services) => Services = (services) => services,
): Promise<BenchApp> {
  const pending = new Set<Promise<unknown>>()
  const platform = {
    address: '198.51.100.1',
    waitUntil(promise: Promise<unknown>) {
      pending.add(promise)
      promise.finally(() => pending.delete(promise)).catch(() => undefined)
    },
  }
  let app: ReturnType<typeof createApp> | undefined
  const server = await serve(() => (request) => {
    if (!app) throw new Error('the app is not ready')
    return app.fetch(request, platform)
  })
  const env = readEnv({ ...stack.env, PUBLIC_URL: server.url })
  const services = change({ ...buildServices(env, await grammar(), quickjs), log: () => undefined })
  app = createApp(services)
  return {
    url: server.url,
    services,
    async close() {
      await Promise.allSettled(pending)
      await server.close()
    },
  }
}
