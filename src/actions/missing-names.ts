import { unknownNames, type NamedKind } from '#src/db/unknown-names.ts'
import type { Definition, Step } from '#src/domain/pipeline.ts'
import type { SourceMap } from '#src/domain/pipeline-source.ts'
import type { FieldProblem } from '#src/domain/problem.ts'
import { everyStep, pathText, type Path } from '#src/domain/step-path.ts'
import type { Context } from './context.ts'

type Named = { kind: NamedKind; name: string; path: Path }

/** Warnings, for a definition may be stored before what it names is made. */
export async function missingNames(
  ctx: Context,
  definition: Definition,
  source: SourceMap,
): Promise<FieldProblem[]> {
  const { name: own, steps, notify, triggers } = definition
  const named: Named[] = [
    ...everyStep(steps).flatMap(({ step, path }) => namedBy(step, path)),
    ...notify.map(({ to }, i): Named => ({ kind: 'channel', name: to, path: ['notify', i, 'to'] })),
    ...triggers.flatMap((trigger, i): Named[] =>
      'pipeline' in trigger
        ? [{ kind: 'pipeline', name: trigger.pipeline, path: ['triggers', i, 'pipeline'] }]
        : [],
    ),
  ]
  const others = named.filter(({ kind, name }) => kind !== 'pipeline' || name !== own)
  return (await unknownNames(ctx.tenantDb, others)).map(({ kind, name, path }) => ({
    path: pathText(path),
    message: `there is no ${kind} "${name}" yet`,
    ...source.at(path),
  }))
}

function namedBy(step: Step, path: Path): Named[] {
  const at = (kind: NamedKind, name: string, ...keys: string[]): Named[] => [
    { kind, name, path: [...path, ...keys] },
  ]
  switch (step.kind) {
    case 'extract':
      return at('connection', step.extract.connection, 'extract', 'connection')
    case 'load':
      return at('connection', step.load.connection, 'load', 'connection')
    case 'pipeline':
      return at('pipeline', step.pipeline.name, 'pipeline', 'name')
    case 'notify':
      return at('channel', step.notify.to, 'notify', 'to')
    case 'wait': {
      const { wait } = step
      if ('pipeline' in wait) return at('pipeline', wait.pipeline, 'wait', 'run')
      if (!('connection' in wait) || wait.connection === undefined) return []
      const inside = wait.sensor === 'object' ? ['object', 'connection'] : ['connection']
      return at('connection', wait.connection, 'wait', ...inside)
    }
    case 'transform':
    case 'sql':
    case 'check':
    case 'call':
    case 'map':
    case 'script':
      return []
  }
}
