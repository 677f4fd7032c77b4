import { StepFailure } from '#src/domain/failure.ts'
import type { PostgresConnection } from './config.ts'
import { formatTableName, parseTableName, quoteIdentifier, quoteTable } from './name.ts'
import { naturalPlan, planLoad, type LoadColumn, type LoadPlan, type LoadSpec } from './plan.ts'
import { publish } from './publish.ts'
import { PostgresSession, type SessionOptions } from './session.ts'
import {
  createStage,
  findStage,
  leaveTombstone,
  lockStage,
  removeStage,
  setPosition,
  stageOf,
  type LoadCounts,
  type LoadPosition,
  type Stage,
  type StageState,
} from './stage.ts'

/** One attempt at a load. Any number of attempts, one after the other or at once, load every row exactly once. */
export type Load = {
  columns: readonly LoadColumn[]
  /** How far the load is, as last seen in the destination: the next chunk and the rows staged before it. */
  position(): LoadPosition
  /**
   * Stages chunk number `chunk`: rows in PostgreSQL's binary COPY tuple format, with the columns in the plan's order and
   * types. When the load is not at that chunk (another attempt got ahead, or the destination lost what was staged), does
   * nothing; either way go on from `position()`.
   */
  copyChunk(chunk: number, rows: AsyncIterable<Uint8Array>): Promise<void>
  /** Brings what is staged into the target, once; later calls, by whomever, give the same counts and change nothing. */
  finish(): Promise<LoadCounts>
  /** Drops what was staged. */
  abandon(): Promise<void>
  close(): Promise<void>
}

export async function openLoad(
  connection: PostgresConnection,
  spec: LoadSpec,
  options: SessionOptions = {},
): Promise<Load> {
  const stage = stageOf(parseTableName(spec.table), spec.loadId)
  const session = await PostgresSession.open(connection, options)
  try {
    const found = await findStage(session, stage)
    // A finished load has nothing left to compare with its target, which may have become anything since.
    if (found && 'finished' in found) return new PostgresLoad(session, stage, naturalPlan(spec), found)
    const plan = await planLoad(session, spec)
    if (!found) await ensureStage(session, stage, plan)
    const { state } = await session.transaction(() => lockStage(session, stage))
    return new PostgresLoad(session, stage, plan, state)
  } catch (cause) {
    await session.close()
    throw cause
  }
}

/** After a load is finished and cannot be attempted any more, or is given up. */
export async function dropStage(
  connection: PostgresConnection,
  load: { loadId: string; table: string },
  options: SessionOptions = {},
): Promise<void> {
  const session = await PostgresSession.open(connection, options)
  try {
    await removeStage(session, stageOf(parseTableName(load.table), load.loadId))
  } finally {
    await session.close()
  }
}

async function ensureStage(session: PostgresSession, stage: Stage, plan: LoadPlan): Promise<void> {
  try {
    await createStage(session, stage, plan)
  } catch (cause) {
    // Another attempt may have made it at the same moment.
    if (!(await findStage(session, stage))) throw cause
  }
}

class PostgresLoad implements Load {
  readonly columns: readonly LoadColumn[]
  private readonly session: PostgresSession
  private readonly stage: Stage
  private readonly plan: LoadPlan
  private state: StageState

  constructor(session: PostgresSession, stage: Stage, plan: LoadPlan, state: StageState) {
    this.session = session
    this.stage = stage
    this.plan = plan
    this.state = state
    this.columns = plan.columns
  }

  position(): LoadPosition {
    return 'finished' in this.state ? 'finished' : this.state.position
  }

  async copyChunk(chunk: number, rows: AsyncIterable<Uint8Array>): Promise<void> {
    const { session, stage } = this
    this.state = await session.transaction(async () => {
      const { state } = await lockStage(session, stage)
      if ('finished' in state || state.position.chunk !== chunk) return state
      const names = this.columns.map(({ name }) => quoteIdentifier(name)).join(', ')
      const copied = await session.copyIn(
        `copy ${quoteTable(stage)} (${names}) from stdin (format binary)`,
        rows,
      )
      const position = { chunk: chunk + 1, rows: state.position.rows + copied }
      await setPosition(session, stage, position)
      return { position }
    })
  }

  async finish(): Promise<LoadCounts> {
    const { session, stage, plan, state: seen } = this
    if ('finished' in seen) return seen.finished
    const finished = await session.transaction(async () => {
      const { state, isUnlogged } = await lockStage(session, stage, 'access exclusive')
      if ('finished' in state) return state.finished
      if (state.position.chunk !== seen.position.chunk) throw this.changed()
      const counts = await publish(session, stage, plan, { rows: state.position.rows, isUnlogged })
      await leaveTombstone(session, stage, counts)
      return counts
    })
    this.state = { finished }
    return finished
  }

  /** Too little may be staged by now: the destination crashed and lost it, or another attempt began anew. */
  private changed(): StepFailure {
    const words = `what was loaded for ${formatTableName(this.plan.table)} has changed there meanwhile.`
    return new StepFailure('load_changed', `Connection "${this.session.connection.name}": ${words}`, {
      retryable: true,
    })
  }

  abandon(): Promise<void> {
    return removeStage(this.session, this.stage)
  }

  close(): Promise<void> {
    return this.session.close()
  }
}
