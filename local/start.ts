import { parseArgs } from 'node:util'

import { buildWhenStale } from './build.ts'
import { startStack, type Stack, type StackOptions } from './stack.ts'

/** Runs `use` on a stack that is taken down afterwards whatever happens, signals included. */
export async function withStack(
  options: StackOptions,
  use: (stack: Stack, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController()
  const onSignal = () => stopping.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  let stack: Stack | undefined
  try {
    stack = await startStack({ ...options, signal: stopping.signal })
    await use(stack, stopping.signal)
  } catch (cause) {
    if (!stopping.signal.aborted) throw cause
  } finally {
    await stack?.stop()
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

/** Resolves when somebody asks the program to end. */
export const untilStopped = (signal: AbortSignal): Promise<void> =>
  new Promise((done) => {
    if (signal.aborted) return done()
    // A listener alone does not keep the program alive.
    const alive = setInterval(() => undefined, 60_000)
    signal.addEventListener('abort', () => {
      clearInterval(alive)
      done()
    })
  })

/** A person at a terminal wants the words, not the stack. */
export function explain(cause: unknown): void {
  console.error(cause instanceof Error ? cause.message : String(cause))
  process.exitCode = 1
}

export const stackFlags = {
  deno: { type: 'boolean', default: false },
  heap: { type: 'string' },
  port: { type: 'string' },
  dir: { type: 'string' },
} as const

export function stackOptions(values: {
  deno: boolean
  heap?: string
  port?: string
  dir?: string
}): StackOptions {
  const number = (name: 'heap' | 'port') => {
    const text = values[name]
    if (text !== undefined && !/^[1-9]\d*$/.test(text))
      throw new Error(`--${name} wants a whole number, not "${text}".`)
    return text === undefined ? undefined : Number(text)
  }
  const heap = number('heap')
  const port = number('port')
  return {
    worker: values.deno ? 'deno' : 'workerd',
    variables: process.env,
    ...(values.dir === undefined ? {} : { dir: values.dir }),
    ...(heap === undefined ? {} : { v8Flags: [`--max-old-space-size=${heap}`] }),
    ...(port === undefined ? {} : { ports: { worker: port } }),
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: stackFlags })
  await buildWhenStale((line) => console.log(line))
  await withStack(
    {
      ...stackOptions(values),
      log: (line) => console.log(`  ${line}`),
      onMail: (line) => console.log(`  ${line}`),
    },
    async (stack, signal) => {
      console.log(`
Weir is running.
  console and API   ${stack.url}
  warehouse         ${stack.warehouseUrl}
  state and logs    ${stack.dir}  (delete it to start anew)
Ctrl-C stops everything.`)
      await untilStopped(signal)
      console.log('Stopping.')
    },
  )
}

if (import.meta.main) await main().catch(explain)
