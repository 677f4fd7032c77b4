import { daysOfCalendars } from '#src/db/calendars.ts'
import type { NewSchedule } from '#src/db/schedules.ts'
import type { NewTrigger } from '#src/db/triggers.ts'
import { newId } from '#src/domain/id.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { SourceMap } from '#src/domain/pipeline-source.ts'
import { Problem, type FieldProblem } from '#src/domain/problem.ts'
import { keyed, type CronTrigger, type Trigger } from '#src/domain/trigger.ts'
import type { Context } from './context.ts'

const calendarsOf = (triggers: readonly Trigger[]) => [
  ...new Set(triggers.flatMap((one) => ('cron' in one && one.calendar ? [one.calendar] : []))),
]

/** Refuses triggers that could never start the pipeline: without its parameters, by a calendar that is not there, by itself. */
export async function refuseBadTriggers(
  ctx: Context,
  definition: Definition,
  source: SourceMap,
): Promise<void> {
  const { triggers } = definition
  const calendars = await daysOfCalendars(ctx.tenantDb, calendarsOf(triggers))
  const fields = new Map<string, FieldProblem>()
  const complain = (path: string, at: readonly (string | number)[], message: string) =>
    fields.set(path, { path, message, ...source.at(at) })
  for (const [i, trigger] of triggers.entries()) {
    if ('webhook' in trigger) continue
    const given = 'cron' in trigger ? (trigger.parameters ?? {}) : {}
    const resolved = resolveParameters(definition, given)
    for (const { path, message } of resolved.ok ? [] : resolved.fields) {
      const name = path.slice('parameters.'.length)
      if (Object.hasOwn(given, name))
        complain(`triggers[${i}].${path}`, ['triggers', i, 'parameters', name], message)
      else
        complain(
          path,
          ['parameters', name],
          `needs a default: ${words(trigger)} starts the pipeline without parameters`,
        )
    }
    if ('cron' in trigger && trigger.calendar && !calendars.has(trigger.calendar))
      complain(
        `triggers[${i}].calendar`,
        ['triggers', i, 'calendar'],
        `there is no calendar "${trigger.calendar}"`,
      )
    if ('pipeline' in trigger && trigger.pipeline === definition.name)
      complain(`triggers[${i}].pipeline`, ['triggers', i, 'pipeline'], 'a pipeline cannot follow itself')
  }
  if (fields.size > 0)
    throw new Problem('invalid', 'The definition is not valid.', { fields: [...fields.values()] })
}

const words = (trigger: Exclude<Trigger, { webhook: true }>) =>
  'cron' in trigger ? 'a schedule' : 'datasets' in trigger ? 'new data' : 'another pipeline'

/** The schedules and triggers that saving the definition makes. */
export async function startersOf(
  ctx: Context,
  definition: Definition,
): Promise<{ schedules: NewSchedule[]; triggers: NewTrigger[] }> {
  const { triggers } = definition
  if (triggers.length === 0) return { schedules: [], triggers: [] }
  const { firstFire } = await import('./fires.ts')
  const calendars = await daysOfCalendars(ctx.tenantDb, calendarsOf(triggers))
  const crons = triggers.filter((trigger): trigger is CronTrigger => 'cron' in trigger)
  const schedules = keyed(crons, ({ cron, timezone, calendar }) => [cron, timezone, calendar].join(' ')).map(
    ({ trigger, key }): NewSchedule => {
      const id = newId('schedule', ctx.now())
      const { cron, timezone, calendar = null, catchUp, overlap, jitterMs, parameters = {} } = trigger
      const days = calendar === null ? undefined : calendars.get(calendar)
      const { next, delayMs } = firstFire(id, { cron, timezone, days, jitterMs }, ctx.now())
      const resolved = resolveParameters(definition, parameters)
      return {
        id,
        key,
        cron,
        timezone,
        calendar,
        catchUp,
        overlap,
        jitterMs,
        delayMs,
        nextFireAt: next,
        parameters: resolved.ok ? resolved.parameters : {},
      }
    },
  )
  const others = triggers.flatMap((trigger) => ('cron' in trigger ? [] : [listener(trigger)]))
  const once = new Map(others.map((trigger) => [trigger.key, trigger]))
  return {
    schedules,
    triggers: [...once.values()].map((trigger) => ({ id: newId('trigger', ctx.now()), ...trigger })),
  }
}

function listener(trigger: Exclude<Trigger, { cron: string }>): Omit<NewTrigger, 'id'> {
  if ('webhook' in trigger) return { key: 'webhook', kind: 'webhook', definition: {}, sources: [] }
  if ('pipeline' in trigger) {
    const { pipeline, on } = trigger
    return {
      key: `pipeline ${pipeline} ${on.toSorted().join(' ')}`,
      kind: 'pipeline',
      definition: { on },
      sources: [pipeline],
    }
  }
  const datasets = [...new Set(trigger.datasets)].toSorted()
  return {
    key: `dataset ${trigger.when} ${datasets.join(' ')}`,
    kind: 'dataset',
    definition: { when: trigger.when },
    sources: datasets,
  }
}
