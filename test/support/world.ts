import { inject } from 'vitest'
import type { Services } from '#src/actions/context.ts'
import { createApp } from '#src/app.ts'
import { readEnv } from '#src/env.ts'
import type { ConsoleFiles } from '#src/http/console.ts'
import { buildServices } from '#src/services.ts'
import { grammar } from './grammar.ts'
import { quickjs } from './quickjs.ts'
import { serve } from './server.ts'
import { newTenant, type Tenant } from './tenant.ts'

export { password, type Tenant } from './tenant.ts'

export type World = {
  url: string
  app: ReturnType<typeof createApp>
  services: Services
  /** A fresh tenant with its owner and an API key. */
  tenant(): Promise<Tenant>
  close(): Promise<void>
}

/** The real app on the run's real services, reachable over HTTP so that jobs are delivered to it. */
export async function world(
  change: (services: Services) => Services = (services) => services,
  variables: Record<string, string> = inject('env'),
  files: ConsoleFiles = {},
): Promise<World> {
  let app: ReturnType<typeof createApp> | undefined
  const pending = new Set<Promise<unknown>>()
  const platform = {
    address: `198.51.100.${Math.floor(Math.random() * 250)}`,
    waitUntil(promise: Promise<unknown>) {
      pending.add(promise)
      promise.finally(() => pending.delete(promise)).catch(() => undefined)
    },
  }
  const server = await serve(() => (request) => {
    if (!app) throw new Error('the world is not ready')
    return app.fetch(request, platform)
  })
  const env = readEnv({ ...variables, PUBLIC_URL: server.url })
  const services = change({ ...buildServices(env, await grammar(), quickjs), log: () => undefined })
  const made = createApp(services, files)
  app = made

  return {
    url: server.url,
    app: made,
    services,
    tenant: () =>
      newTenant(server.url, (request, address) =>
        Promise.resolve(made.fetch(request, address === undefined ? platform : { ...platform, address })),
      ),
    async close() {
      await Promise.allSettled(pending)
      await server.close()
    },
  }
}
