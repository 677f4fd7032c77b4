import { call } from './kinds/call.ts'
import { check } from './kinds/check.ts'
import { extract } from './kinds/extract.ts'
import { failure } from './kinds/failure.ts'
import { generate } from './kinds/generate.ts'
import type { Kind, Made, Where } from './kinds/kind.ts'
import { load } from './kinds/load.ts'
import { map } from './kinds/map.ts'
import { pipeline } from './kinds/pipeline.ts'
import { script } from './kinds/script.ts'
import { transform } from './kinds/transform.ts'
import { union } from './kinds/union.ts'
import { wait } from './kinds/wait.ts'
import type { Random } from './random.ts'

/** Another kind of step is a file of its own and a name here. */
const kinds: readonly Kind[] = [
  generate,
  extract,
  transform,
  union,
  check,
  script,
  load,
  wait,
  call,
  map,
  pipeline,
  failure,
]
const drawn = kinds.flatMap((kind) => Array.from({ length: kind.weight }, () => kind))

/** A step of a kind that is possible here. */
export function anyStep(from: Random, where: Where): Made {
  for (;;) {
    const made = from.pick(drawn).make(from, where)
    if (made) return made
  }
}
