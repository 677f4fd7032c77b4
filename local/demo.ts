import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs, styleText } from 'node:util'

import { buildWhenStale } from './build.ts'
import type { QualityJson, RunJson } from './demo/api.ts'
import { followRun } from './demo/follow.ts'
import { watchMemory } from './demo/memory.ts'
import { prepare } from './demo/prepare.ts'
import { checkTable, qualityTable, timeline } from './demo/report.ts'
import { openScreen } from './demo/screen.ts'
import { verify, type Check } from './demo/verify.ts'
import type { Stack } from './stack.ts'
import { explain, stackFlags, stackOptions, untilStopped, withStack } from './start.ts'

/** What Cloudflare gives an isolate; the demo keeps within it unless told otherwise. */
const isolateMegabytes = '128'

export type DemoResult = {
  run: RunJson
  checks: Check[]
  ok: boolean
  ms: number
  idleBytes: number
  peakBytes: number
  /** Where to look: the run's page, and who to sign in as. */
  page: string
  email: string
  password: string
}

/** The main job on real data through the public API; says what it does and compares every number in the end. */
export async function runDemo(
  stack: Stack,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<DemoResult> {
  const { worker } = stack
  if (!worker) throw new Error('The demo needs the Worker.')
  const { api, pipelineId, email, password } = await prepare(stack, (line) => say(`  ${line}`))
  const memory = await watchMemory(worker.pid)

  say(title('The run'))
  const screen = openScreen()
  const startedMs = Date.now()
  let run: RunJson
  try {
    const { id } = await api.post<{ id: string }>('/v1/runs', { pipelineId })
    run = await followRun(api, id, screen.show, signal)
  } finally {
    screen.end()
    memory.stop()
  }
  const ms = Date.now() - startedMs
  const { idleBytes, peakBytes } = memory

  say(`${title(`The run ${run.state} after ${(ms / 1000).toFixed(1)} s`)}\n${timeline(run)}`)
  for (const step of run.steps) if (step.error) say(styleText('red', `  ${step.key}: ${step.error.message}`))
  const { items: quality } = await api.get<{ items: QualityJson[] }>(`/v1/runs/${run.id}/quality`)
  say(`${title('Quality')}\n${qualityTable(quality)}`)

  const result = { run, ms, idleBytes, peakBytes, page: `${stack.url}/runs/${run.id}`, email, password }
  if (!run.state.startsWith('succeeded')) {
    say(styleText('red', '\nThe run did not succeed, so the warehouse was not compared.'))
    return { ...result, checks: [], ok: false }
  }
  const checks = await verify(stack, api, run, quality)
  say(`${title('Read back from the databases')}\n${checkTable(checks)}`)
  return { ...result, checks, ok: checks.every((check) => check.ok) }
}

const title = (text: string) => `\n${styleText('bold', text)}`
const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(0)} MB`

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { ...stackFlags, once: { type: 'boolean', default: false } } })
  const say = (line: string) => console.log(line)
  const options = stackOptions({ ...values, heap: values.heap ?? isolateMegabytes })
  const ownDir = values.once && values.dir === undefined ? join('.weir', `once-${process.pid}`) : undefined
  await buildWhenStale(say)
  say(
    title(
      `Starting the local stack, the Worker in ${options.worker} with ${values.heap ?? isolateMegabytes} MB of heap`,
    ),
  )
  let ok = false
  try {
    await withStack(
      { ...options, ...(ownDir ? { dir: ownDir } : {}), log: (line) => say(`  ${line}`) },
      async (stack, signal) => {
        const demo = await runDemo(stack, signal, say)
        ok = demo.ok
        conclude(demo, say)
        if (values.once) return
        say(whereToLook(stack, demo))
        await untilStopped(signal)
      },
    )
  } finally {
    if (!ok) process.exitCode = 1
    if (ownDir && ok) await rm(ownDir, { recursive: true, force: true })
    else if (ownDir) say(`What is left of it is in ${ownDir}.`)
  }
}

function conclude(demo: DemoResult, say: (line: string) => void): void {
  const failed = demo.checks.filter((check) => !check.ok).length
  if (demo.ok)
    say(styleText('green', `\nAll ${demo.checks.length} numbers are what the files and the databases hold.`))
  else if (failed) say(styleText('red', `\n${failed} of ${demo.checks.length} numbers are wrong.`))
  say(
    `The Worker's memory: ${megabytes(demo.peakBytes - demo.idleBytes)} at most above its ${megabytes(demo.idleBytes)} when idle.`,
  )
}

const whereToLook = (stack: Stack, demo: DemoResult): string => `${title('Where to look')}
  the run          ${demo.page}
  sign in as       ${demo.email}  ${demo.password}
  the warehouse    ${stack.warehouseUrl}
  the Worker says  ${stack.workerLog}
Ctrl-C stops everything; all state is in ${stack.dir}.`

if (import.meta.main) await main().catch(explain)
