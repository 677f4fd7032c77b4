import { styleText } from 'node:util'

import type { StepJson } from './api.ts'

const lineEveryMs = 2_000
const marks: Record<string, string> = {
  succeeded: '✓',
  failed: '✗',
  running: '▸',
  skipped: '–',
  cancelled: '–',
}

export type Screen = {
  show: (steps: readonly StepJson[], changed: readonly string[]) => void
  end: () => void
}

/** The run as it goes: a table that is drawn over itself in a terminal, lines of what changed anywhere else. */
export function openScreen(out: NodeJS.WriteStream = process.stdout): Screen {
  let last: readonly StepJson[] = []
  let drawn = 0
  let lastLineMs = 0
  const draw = () => {
    if (!last.length) return
    const text = last.map((step) => `\x1b[2K${line(step)}\n`).join('')
    out.write((drawn ? `\x1b[${drawn}A` : '') + text)
    drawn = last.length
  }
  const timer = out.isTTY ? setInterval(draw, 200) : undefined
  return {
    show(steps, changed) {
      last = steps
      if (out.isTTY) return draw()
      const due = Date.now() - lastLineMs > lineEveryMs
      if (due) lastLineMs = Date.now()
      for (const step of steps) {
        const isNews = changed.includes(step.key) && step.state !== 'ready'
        if (isNews || (due && step.state === 'running' && step.rowsOut > 0)) out.write(`${line(step)}\n`)
      }
    },
    end: () => clearInterval(timer),
  }
}

function line(step: StepJson): string {
  const seconds = secondsOf(step)
  const rows = Math.max(step.rowsOut, step.state === 'running' ? step.rowsIn : 0)
  const numbers = [
    step.state.padEnd(9),
    (rows ? count(rows) : '').padStart(11),
    (rows && seconds > 0.05 ? `${count(Math.round(rows / seconds))} rows/s` : '').padStart(18),
    (seconds ? `${seconds.toFixed(1)} s` : '').padStart(9),
  ]
  const text = `  ${marks[step.state] ?? '·'} ${step.key.padEnd(20)} ${step.kind.padEnd(9)} ${numbers.join(' ')}`
  if (step.state === 'succeeded') return styleText('green', text)
  if (step.state === 'failed') return styleText('red', text)
  return step.state === 'running' ? text : styleText('dim', text)
}

function secondsOf(step: StepJson): number {
  if (!step.startedAt) return 0
  const end = step.finishedAt ? Date.parse(step.finishedAt) : Date.now()
  return Math.max(0, (end - Date.parse(step.startedAt)) / 1000)
}

export const count = (value: number): string => value.toLocaleString('en-US')
