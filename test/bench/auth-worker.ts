import quickjs from '@jitl/quickjs-wasmfile-release-sync/wasm'
import grammar from 'libpg-query/wasm/libpg-query.wasm'
import { allow } from '#src/actions/context.ts'
import { readEnv } from '#src/env.ts'
import { newRoutes } from '#src/http/api.ts'
import { newApp } from '#src/http/middleware.ts'
import { buildServices } from '#src/services.ts'

/** How often something outside was asked. */
let calls = 0
const real = globalThis.fetch
globalThis.fetch = (input, init) => {
  calls++
  return real(input, init)
}

/** The same handler twice: at a path that anybody may ask for, and at one that wants a credential and a permission. */
const bare = newRoutes().get('/', (c) => c.json({ calls }))
const guarded = newRoutes().get('/', (c) => {
  allow(c.var.ctx, 'runs:read')
  return c.json({ calls })
})

const build = (env: Record<string, unknown>) =>
  newApp({ ...buildServices(readEnv(env), grammar, async () => quickjs), log: () => undefined })
    .route('/v1/health', bare)
    .route('/v1/guarded', guarded)
let app: ReturnType<typeof build> | undefined

export default {
  fetch(
    request: Request,
    env: Record<string, unknown>,
    execution: { waitUntil(promise: Promise<unknown>): void },
  ): Response | Promise<Response> {
    app ??= build(env)
    return app.fetch(request, {
      address: '198.51.100.1',
      waitUntil: (promise: Promise<unknown>) => execution.waitUntil(promise),
    })
  },
}
