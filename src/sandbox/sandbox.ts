import type { QuickJSContext, QuickJSHandle, QuickJSRuntime } from 'quickjs-emscripten-core'
import {
  depthWords,
  failureOf,
  fileName,
  lineOf,
  memoryWords,
  ScriptFailure,
  storable,
  timeWords,
  type Thrown,
} from './failure.ts'
import { instantiate, type Instance } from './instance.ts'
import { mostLogged, prelude } from './prelude.ts'

/** A module whose default export is a function of (rows, context) that gives rows. */
export type Script = { code: string; memoryMb: number; cpuMs: number }

/** `rows` is the text of a JSON array, `context` of any JSON; `now` and `seed` make what a script may ask for by chance. */
export type ScriptBatch = { rows: string; context: string; now: number; seed: number }

export type Sandbox = {
  /** The text of a JSON array. What the script does in one batch leaves nothing behind for the next. */
  apply(batch: ScriptBatch): { rows: string; logs: string }
  /** Processor time so far, as the meter has it. */
  usedMs(): number
}

export type OpenSandbox = (script: Script) => Promise<Sandbox>

/** Characters that one batch may have on its way in, and on its way out. */
export const mostText = 8 * 1024 * 1024

/** What a millisecond of processor time is: the turns of loops that QuickJS makes in one. The meter needs no clock. */
const turnsAMs = 150_000
/** Beyond a script's time, for what cannot be interrupted in the middle: then the instance traps. */
const graceTurns = 250 * turnsAMs
/** QuickJS counts its own stack; the engine's, that holds the same calls, must not end first. */
const stackBytes = 192 * 1024

/** QuickJS with one script and nothing of the outside. It fails with a ScriptFailure, and is of no use after that. */
export async function openSandbox(module: WebAssembly.Module, script: Script): Promise<Sandbox> {
  const instance = await instantiate(module, script.memoryMb)
  let used = 0
  let isBroken = false

  const within = <T>(what: (room: Room) => T): T => {
    if (isBroken) throw new Error('the sandbox has failed before')
    const turns = script.cpuMs * turnsAMs
    instance.meter.set(turns + graceTurns)
    try {
      const room = openRoom(instance, script)
      const result = what(room)
      used += turns + graceTurns - instance.meter.left()
      // What is freed now counts for nobody.
      instance.meter.set(turns + graceTurns)
      room.close()
      return result
    } catch (error) {
      isBroken = true
      throw wordsFor(error, instance, script)
    }
  }

  within((room) => room.load())
  return {
    apply: (batch) => within((room) => room.apply(batch)),
    usedMs: () => used / turnsAMs,
  }
}

/** What the instance itself ended in. */
function wordsFor(error: unknown, { meter }: Instance, { cpuMs, memoryMb }: Script): unknown {
  if (error instanceof ScriptFailure) return error
  if (meter.left() < 0) return new ScriptFailure('script_time', timeWords(cpuMs))
  if (error instanceof RangeError) return new ScriptFailure('script_depth', depthWords())
  if (error instanceof WebAssembly.RuntimeError)
    return new ScriptFailure('script_memory', memoryWords(memoryMb))
  return error
}

type Room = ReturnType<typeof openRoom>

/** A runtime for one batch. */
function openRoom({ quickjs, meter, isFull }: Instance, script: Script) {
  const runtime: QuickJSRuntime = quickjs.newRuntime()
  runtime.setMaxStackSize(stackBytes)
  const isOutOfTime = () => meter.left() < graceTurns
  runtime.setInterruptHandler(isOutOfTime)
  const vm: QuickJSContext = runtime.newContext()
  const kept: QuickJSHandle[] = []
  const keep = (handle: QuickJSHandle): QuickJSHandle => {
    kept.push(handle)
    return handle
  }

  /** The parts of the prelude, made before the script can touch anything. */
  const furnish = (now: number, seed: number) => {
    const make = keep(vm.unwrapResult(vm.evalCode(prelude, 'prelude.js', { type: 'global' })))
    const made = keep(
      vm.unwrapResult(vm.callFunction(make, vm.undefined, keep(vm.newNumber(now)), keep(vm.newNumber(seed)))),
    )
    const part = (name: string) => keep(vm.getProp(made, name))
    return { apply: part('apply'), logged: part('logged'), describe: part('describe') }
  }
  type Parts = ReturnType<typeof furnish>

  /** Asks a part of the prelude for a text; what the script has done to the language may make it fail. */
  const ask = (part: QuickJSHandle, ...values: QuickJSHandle[]): string => {
    const asked = vm.callFunction(part, vm.undefined, ...values)
    if (asked.error) return ''
    keep(asked.value)
    return vm.typeof(asked.value) === 'string' ? vm.getString(asked.value) : ''
  }
  const logsOf = (parts: Parts): string => {
    const text = ask(parts.logged)
    return text === '' ? '' : storable(JSON.parse(text) as string, mostLogged)
  }

  const fail = (parts: Parts, error: QuickJSHandle, doing: string): never => {
    let timeIsUp = false
    /** What is asked now, the script may have made endless. */
    const giveTime = () => {
      if (!isOutOfTime()) return
      timeIsUp = true
      meter.set(2 * graceTurns)
    }
    giveTime()
    const described = ask(parts.describe, error)
    giveTime()
    const logs = logsOf(parts)
    const thrown = thrownOf(described)
    if (timeIsUp) {
      const line = lineOf(thrown.stack)
      const at = line === undefined ? '' : `, at line ${line}`
      throw new ScriptFailure('script_time', timeWords(script.cpuMs, at), logs)
    }
    // Without memory for an error QuickJS throws null.
    if (described === '' && isFull())
      throw new ScriptFailure('script_memory', memoryWords(script.memoryMb), logs)
    throw failureOf(thrown, script, doing, logs)
  }

  const load = (parts: Parts): QuickJSHandle => {
    const evaluated = vm.evalCode(script.code, fileName, { type: 'module' })
    if (evaluated.error) return fail(parts, evaluated.error, 'be read')
    const made = keep(vm.getProp(keep(evaluated.value), 'default'))
    if (vm.typeof(made) === 'function') return made
    throw new ScriptFailure(
      'bad_script',
      'The script must have a function as its default export: export default (rows, context) => rows',
    )
  }

  return {
    load(): void {
      load(furnish(0, 0))
    },
    apply(batch: ScriptBatch): { rows: string; logs: string } {
      const parts = furnish(batch.now, batch.seed)
      const script = load(parts)
      const [rows, context] = [keep(vm.newString(batch.rows)), keep(vm.newString(batch.context))]
      const called = vm.callFunction(parts.apply, vm.undefined, script, rows, context)
      if (called.error) return fail(parts, called.error, 'be run')
      const made = keep(called.value)
      const logs = logsOf(parts)
      const refuse = (words: string): never => {
        throw new ScriptFailure(
          'script_result',
          `The script must give a list of rows, and it gave ${words}.`,
          logs,
        )
      }
      if (vm.typeof(made) !== 'string') return refuse('what JSON cannot hold')
      if (vm.getProp(made, 'length').consume((length) => vm.getNumber(length)) > mostText)
        return refuse(`more than ${mostText / 1024 / 1024} MB of them for one batch`)
      const text = vm.getString(made)
      return text.startsWith('!') ? refuse(text.slice(1)) : { rows: text, logs }
    },
    close(): void {
      for (const handle of kept) handle.dispose()
      vm.dispose()
      runtime.dispose()
    },
  }
}

function thrownOf(described: string): Thrown {
  const [name, message, stack] = described === '' ? [] : (JSON.parse(described) as string[])
  return { name: name ?? '', message: message ?? '', stack: stack ?? '' }
}
