import type { AlertKind } from '#src/domain/alert.ts'
import { count, duration } from '../../ui/figures.ts'
import type { Alert } from './model.ts'

/** What each kind is called where one chooses among them. */
export const kindWords: Record<AlertKind, string> = {
  failed: 'failed',
  recovered: 'recovered',
  warned: 'soon late',
  late: 'late',
  escalated: 'very late',
  not_fired: 'did not start',
  refused: 'refused by a quota',
  quota: 'quota used',
}

export const alertKinds = Object.keys(kindWords) as AlertKind[]

type Told = Pick<Alert, 'kind' | 'detail'> & Partial<Pick<Alert, 'level' | 'pipelineName' | 'quota'>>

/** What an alert is about, in a sentence. */
export function alertWords({ kind, detail, level = 0, pipelineName = 'A pipeline', ...rest }: Told): string {
  const quota = rest.quota ?? 'a quota'
  const of = detail as { step?: unknown; message?: unknown; withinMs?: unknown; refused?: unknown }
  const within = typeof of.withinMs === 'number' ? ` of ${duration(of.withinMs)}` : ''
  switch (kind) {
    case 'failed':
      return `${pipelineName} failed${textOf(of.step, ' at ')}${textOf(of.message, ': ') || '.'}`
    case 'recovered':
      return `${pipelineName} succeeded again after a failure.`
    case 'warned':
      return `${pipelineName} has used 80 % of its time${within}.`
    case 'late':
      return `${pipelineName} has used up its time${within}.`
    case 'escalated':
      return `${pipelineName} has used ${level + 1} times its time${within}.`
    case 'not_fired':
      return `${pipelineName} should have started by its schedule and has not.`
    case 'refused':
      return `${pipelineName} was not started: ${quota} is used up${
        typeof of.refused === 'number' && of.refused > 1 ? ` (${count(of.refused)} times)` : ''
      }.`
    case 'quota':
      return `${level} % of ${quota} is used.`
  }
}

const textOf = (value: unknown, before: string): string =>
  typeof value === 'string' ? `${before}${value}` : ''
