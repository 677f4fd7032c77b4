import * as z from 'zod'
import { longerThanNothing } from './duration.ts'
import { connectionName, name, pipelineName } from './names.ts'
import { parameterTypes } from './parameters.ts'
import {
  innerKinds,
  mostInnerSteps,
  overSchemas,
  retrySchema,
  stepKinds,
  stepSchemas,
} from './step-schema.ts'
import { transforms, type TransformName } from './transform.ts'
import { notices } from './trigger.ts'
import { triggerSchemas } from './trigger-schema.ts'
import { waitSchemas } from './wait-schema.ts'

export const mostSteps = 2_000

const scalar = z.union([z.string(), z.number(), z.boolean()])

/** The definition but for its steps and triggers, which are each parsed by the schema of their kind. */
export const definitionSchema = z.strictObject({
  apiVersion: z.literal('weir/v1'),
  kind: z.literal('Pipeline'),
  name: pipelineName,
  description: z.string().max(2_000).optional(),
  /** By these its usage can be told apart. */
  tags: z
    .record(name, z.string().trim().min(1).max(100))
    .refine((tags) => Object.keys(tags).length <= 20, { error: 'may have 20 entries at most' })
    .optional(),
  parameters: z
    .record(
      name,
      z.strictObject({
        type: z.enum(parameterTypes),
        default: scalar.optional(),
        enum: z.array(scalar).min(1).max(1_000).optional(),
        min: z.union([z.number(), z.string()]).optional(),
        max: z.union([z.number(), z.string()]).optional(),
        description: z.string().max(2_000).optional(),
      }),
    )
    .default({}),
  triggers: z.array(z.record(z.string(), z.unknown())).max(20).default([]),
  concurrency: z.number().int().min(1).max(1_000).optional(),
  priority: z.number().int().min(-10).max(10).default(0),
  timeout: longerThanNothing.default(24 * 3_600_000),
  sla: z.strictObject({ within: longerThanNothing }).optional(),
  retry: retrySchema.default({ attempts: 3, backoff: 'exponential', jitter: true }),
  notify: z
    .array(z.strictObject({ on: z.array(z.enum(notices)).min(1), to: connectionName }))
    .max(50)
    .default([]),
  steps: z.array(z.record(z.string(), z.unknown())).min(1).max(mostSteps),
})

const operators = () =>
  z.union((Object.keys(transforms) as TransformName[]).map((op) => z.strictObject({ [op]: transforms[op] })))

/** Steps as they are written, the inner ones of maps so many maps deep. */
function steps(kinds: readonly (keyof typeof stepSchemas)[], maps: number): z.ZodType {
  const waits = z.union(Object.values(waitSchemas))
  const { map } = stepSchemas.map.shape
  return z.union(
    kinds.flatMap((kind): z.ZodType[] => {
      if (kind === 'transform')
        return [stepSchemas.transform.extend({ transform: z.array(operators()).min(1) })]
      if (kind === 'wait') return [stepSchemas.wait.extend({ wait: waits })]
      if (kind !== 'map') return [stepSchemas[kind]]
      if (maps === 0) return []
      const inner = z
        .array(steps(innerKinds, maps - 1))
        .min(1)
        .max(mostInnerSteps)
      return [
        stepSchemas.map.extend({
          map: map.extend({ over: z.union(Object.values(overSchemas)), steps: inner }),
        }),
      ]
    }),
  )
}

/** For editors: the whole definition, as it is written. Made when it is first asked for, not when the Worker starts. */
export function pipelineJsonSchema(): z.core.JSONSchema.BaseSchema {
  schema ??= z.toJSONSchema(
    definitionSchema.extend({
      triggers: z.array(z.union(Object.values(triggerSchemas))).optional(),
      steps: z.array(steps(stepKinds, 2)).min(1).max(mostSteps),
    }),
    { io: 'input', unrepresentable: 'any', target: 'draft-2020-12' },
  )
  return schema
}

let schema: z.core.JSONSchema.BaseSchema | undefined
