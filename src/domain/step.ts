import type { ColumnType } from './column.ts'
import type { Condition } from './condition.ts'
import type { Json } from './json.ts'
import type { RetryPolicy } from './retry.ts'
import type { Role } from './role.ts'
import type { Rule } from './rule.ts'
import type { When } from './run-state.ts'
import type { Transform } from './transform.ts'

export type StepBase = {
  id: string
  after: string[]
  when: When
  /** The step is skipped where this is not true. */
  if?: Condition
  timeoutMs?: number
  retry?: RetryPolicy
}

export type Extract = {
  connection: string
  stream: string
  mode: 'full_refresh' | 'incremental'
  cursor?: string | undefined
  columns?: string[] | undefined
}

export type Load = {
  from: string
  connection: string
  table: string
  mode: 'append' | 'overwrite' | 'upsert'
  key: string[]
}

/** What is looked at again and again until it is there. */
export type Sensor =
  | { sensor: 'object'; connection: string; prefix: string; everyMs: number }
  | { sensor: 'sql'; sql: string; connection?: string; everyMs: number }
  | { sensor: 'dataset'; dataset: string; withinMs: number; everyMs: number }
  | { sensor: 'run'; pipeline: string; withinMs: number; everyMs: number }

export type Wait =
  | { for: number }
  /** A time such as 2026-12-24T08:00:00Z, a time of the run's day in the zone such as 08:00, or a template for either. */
  | { until: string; timezone: string }
  | Sensor
  | { approval: { message?: string; roles: Role[] } }

/** Url, headers and body are templates. */
export type Call = {
  /** Left out only where somebody is told the callback's address in another way. */
  url?: string
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  headers: Record<string, string>
  body?: Json
  answer: 'response' | 'callback'
  deadlineMs: number
}

/** Days or months, both ends included; from and to are dates or templates for dates. */
export type Dates = { dates: { from: string; to: string; by: 'day' | 'month' } }

export type MapOver = {
  /** A list, whose items may hold templates, or a template that gives one. */
  over: Json[] | string | Dates
  /** The name that templates of the inner steps call an item by. */
  as: string
  atOnce: number
  /** For each item in this order. */
  steps: Step[]
}

export type Script = {
  from: string
  code: string
  memoryMb: number
  /** Of CPU, in one delivery. */
  timeoutMs: number
  columns: { name: string; type: ColumnType }[]
}

export type Step = StepBase &
  (
    | { kind: 'extract'; extract: Extract; into: string }
    | { kind: 'transform'; from: string; transform: Transform[]; into: string }
    | { kind: 'sql'; sql: string; into: string; write: 'replace' | 'append' }
    | { kind: 'check'; dataset: string; rules: Rule[] }
    | { kind: 'load'; load: Load }
    | { kind: 'wait'; wait: Wait; deadlineMs?: number }
    | { kind: 'call'; call: Call }
    | { kind: 'map'; map: MapOver }
    | { kind: 'pipeline'; pipeline: { name: string; parameters: Record<string, Json>; wait: boolean } }
    | { kind: 'script'; script: Script; into: string }
    | { kind: 'notify'; notify: { to: string; message: string } }
  )
export type StepKind = Step['kind']
