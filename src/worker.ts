import quickjs from '@jitl/quickjs-wasmfile-release-sync/wasm'
import grammar from 'libpg-query/wasm/libpg-query.wasm'
import files from 'weir:console'
import { createApp } from './app.ts'
import { readEnv } from './env.ts'
import { buildServices } from './services.ts'

type App = ReturnType<typeof createApp>

/** One isolate serves one configuration; it is read with the first request, for there is no request without it. */
let app: App | undefined

export default {
  fetch(
    request: Request,
    env: Record<string, unknown>,
    execution: ExecutionContext,
  ): Response | Promise<Response> {
    app ??= createApp(
      buildServices(readEnv(env), grammar, async () => quickjs),
      files,
    )
    const address = request.headers.get('CF-Connecting-IP')
    return app.fetch(request, {
      ...(address ? { address } : {}),
      waitUntil: (promise: Promise<unknown>) => execution.waitUntil(promise),
    })
  },
}
