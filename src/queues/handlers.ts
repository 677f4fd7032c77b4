import { dropStage } from '#src/actions/stages.ts'
import { tick } from '#src/actions/tick.ts'
import { deliver } from '#src/engine/deliver.ts'
import type { EngineServices } from '#src/engine/services.ts'
import type { JobHandlers } from './receive.ts'

/** What each job does; every one of them may run twice. */
export const jobHandlers = (services: EngineServices): JobHandlers => ({
  run: (payload, delivery) => deliver(services, payload, delivery),
  'drop-stage': (payload) => dropStage(services, payload),
  tick: () => tick(services),
})
