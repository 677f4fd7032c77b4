import { StepFailure } from '#src/domain/failure.ts'

/** Why a script made no rows, and what it had logged until then. */
export class ScriptFailure extends StepFailure {
  readonly logs: string
  constructor(code: string, message: string, logs = '') {
    super(code, message)
    this.logs = logs
  }
}

export const fileName = 'script.js'
const longestMessage = 500

/** What the script threw, as the sandbox describes it: its name, its message and its stack. */
export type Thrown = { name: string; message: string; stack: string }

export function failureOf(
  thrown: Thrown,
  limits: { memoryMb: number },
  doing: string,
  logs: string,
): ScriptFailure {
  const line = lineOf(thrown.stack)
  const at = line === undefined ? '' : ` at line ${line}`
  if (/^(Internal|Syntax)Error$/.test(thrown.name) && thrown.message === 'out of memory')
    return new ScriptFailure('script_memory', memoryWords(limits.memoryMb, at), logs)
  if (thrown.name === 'InternalError' && thrown.message === 'stack overflow')
    return new ScriptFailure('script_depth', depthWords(at), logs)
  const words =
    [thrown.name, thrown.message].filter((word) => word !== '').join(': ') || 'nothing that can be shown'
  const code = thrown.name === 'SyntaxError' && doing === 'be read' ? 'bad_script' : 'script_threw'
  return new ScriptFailure(code, `The script could not ${doing}${at}: ${cut(words)}`, logs)
}

export const memoryWords = (memoryMb: number, at = ''): string =>
  `The script needs more than its ${memoryMb} MB of memory${at}: give it more with memoryMb, or let it keep less.`

export const depthWords = (at = ''): string =>
  `The script's calls, or the values that it made, are nested too deeply${at}.`

export const timeWords = (cpuMs: number, at = ''): string =>
  `The script took more than its ${cpuMs / 1000} s of processor time for one batch of rows${at}.`

/** The first line of the script itself in a stack of QuickJS. */
export function lineOf(stack: string): number | undefined {
  const found = /script\.js:(\d+)/.exec(stack)?.[1]
  return found === undefined ? undefined : Number(found)
}

/** As text that the database can hold. */
export function storable(text: string, most: number): string {
  return text.slice(0, most).toWellFormed().replaceAll('\u0000', '\ufffd')
}

const cut = (words: string): string =>
  words.length > longestMessage ? `${storable(words, longestMessage)}…` : storable(words, longestMessage)
