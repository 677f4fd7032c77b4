import { styleText } from 'node:util'

import type { QualityJson, RunJson, StepJson } from './api.ts'
import { count } from './screen.ts'
import type { Check } from './verify.ts'

const barWidth = 40

/** When each step ran, drawn to scale, with its rows. */
export function timeline(run: RunJson): string {
  const from = Date.parse(run.startedAt ?? run.createdAt)
  const to = Math.max(from + 1, Date.parse(run.finishedAt ?? run.startedAt ?? run.createdAt))
  const bar = (step: StepJson) => {
    if (!step.startedAt || !step.finishedAt) return ' '.repeat(barWidth)
    const place = (at: string) => Math.round(((Date.parse(at) - from) / (to - from)) * barWidth)
    const start = Math.min(barWidth - 1, Math.max(0, place(step.startedAt)))
    const end = Math.min(barWidth, Math.max(start + 1, place(step.finishedAt)))
    return ' '.repeat(start) + '█'.repeat(end - start) + ' '.repeat(barWidth - end)
  }
  return table(
    ['step', 'kind', 'rows in', 'rows out', 'rejected', 'seconds', 'timeline'],
    run.steps.map((step) => [
      step.key,
      step.kind,
      count(step.rowsIn),
      count(step.rowsOut),
      count(step.rowsRejected),
      step.startedAt && step.finishedAt
        ? ((Date.parse(step.finishedAt) - Date.parse(step.startedAt)) / 1000).toFixed(2)
        : '',
      bar(step),
    ]),
    [2, 3, 4, 5],
  )
}

export function qualityTable(results: readonly QualityJson[]): string {
  return table(
    ['step', 'rule', 'column', 'checked', 'failed', 'then'],
    results.map((one) => [
      one.stepKey,
      one.rule,
      one.column ?? '',
      count(one.checked),
      count(one.failed),
      one.passed ? 'passed' : one.onFail,
    ]),
    [3, 4],
  )
}

export function checkTable(checks: readonly Check[]): string {
  const rows = checks.map(({ what, expected, found, ok }) => [
    ok ? '✓' : '✗',
    what,
    found,
    ok ? '' : `expected ${expected}`,
  ])
  return table(['', 'what', 'found', ''], rows, [2])
    .split('\n')
    .map((line) => (line.trimStart().startsWith('✗') ? styleText('red', line) : line))
    .join('\n')
}

function table(head: string[], rows: string[][], right: number[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: string[]) =>
    `  ${cells.map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  ')}`.trimEnd()
  return [styleText('dim', line(head)), ...rows.map(line)].join('\n')
}
