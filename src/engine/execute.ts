import type { Step } from '#src/domain/pipeline.ts'
import type { StepOutcome, StepWork, Work } from './step.ts'
import { executeCall } from './steps/call.ts'
import { executeCheck } from './steps/check.ts'
import { executeExtract } from './steps/extract.ts'
import { executeLoad } from './steps/load.ts'
import { executeMap } from './steps/map.ts'
import { executeNotify } from './steps/notify.ts'
import { executePipeline } from './steps/pipeline.ts'
import { executeScript } from './steps/script.ts'
import { executeSql } from './steps/sql.ts'
import { executeTransform } from './steps/transform.ts'
import { executeWait } from './steps/wait.ts'

const kinds: { [K in Step['kind']]: (work: StepWork<K>) => Promise<StepOutcome> } = {
  extract: executeExtract,
  transform: executeTransform,
  sql: executeSql,
  check: executeCheck,
  load: executeLoad,
  wait: executeWait,
  call: executeCall,
  map: executeMap,
  pipeline: executePipeline,
  script: executeScript,
  notify: executeNotify,
}

/** Hands a step to what its kind does; the table above has each kind's own type. */
export function executeStep(work: Work & { definition: Step }): Promise<StepOutcome> {
  const execute = kinds[work.definition.kind] as (work: Work & { definition: Step }) => Promise<StepOutcome>
  return execute(work)
}
