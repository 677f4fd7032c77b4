import files from 'weir:console'
import { createApp } from './app.ts'
import { readEnv } from './env.ts'
import { buildServices } from './services.ts'

/** What we use of Deno, so that no other platform's types have to know it. */
declare const Deno: {
  env: { toObject(): Record<string, string> }
  readFile(path: URL): Promise<Uint8Array<ArrayBuffer>>
  serve(
    options: { port: number; hostname: string; onListen: (at: { port: number }) => void },
    handler: (request: Request, info: { remoteAddr: { hostname: string } }) => Response | Promise<Response>,
  ): unknown
}

/** Deno compiles at run time, which the types of workerd rightly do not know. */
const webAssembly = (
  globalThis as unknown as { WebAssembly: { compile(bytes: BufferSource): Promise<WebAssembly.Module> } }
).WebAssembly

const variables = Deno.env.toObject()
const compiled = async (file: string) =>
  webAssembly.compile(await Deno.readFile(new URL(file, import.meta.url)))
const grammar = await compiled('./libpg-query.wasm')
let quickjs: Promise<WebAssembly.Module> | undefined
const app = createApp(
  buildServices(readEnv(variables), grammar, () => (quickjs ??= compiled('./quickjs.wasm'))),
  files,
)

Deno.serve(
  {
    port: Number(variables['PORT'] ?? 8787),
    hostname: variables['HOST'] ?? '127.0.0.1',
    onListen: () => undefined,
  },
  (request, info) => app.fetch(request, { address: info.remoteAddr.hostname }),
)
