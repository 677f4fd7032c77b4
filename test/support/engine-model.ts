import * as fc from 'fast-check'
import type pg from 'pg'
import type { ClaimedStep, StepResult } from '#src/db/run-moves.ts'
import type { PipelineId, RunId, TenantId } from '#src/domain/id.ts'
import { decide, whens } from '#src/domain/run-state.ts'
import { codeOf, type EngineCalls, type PlannedStep } from '#test/support/engine-calls.ts'

/** A graph of up to six steps, each of which may need some of those before it. */
export const graphs: fc.Arbitrary<PlannedStep[]> = fc
  .array(fc.record({ needs: fc.array(fc.nat(5), { maxLength: 3 }), when: fc.constantFrom(...whens) }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((drawn) =>
    drawn.map(({ needs, when }, i) => {
      const keys = [...new Set(needs.filter((need) => need < i).map((need) => `s${need}`))]
      return { key: `s${i}`, needs: keys, when: keys.length === 0 ? 'all_success' : when }
    }),
  )

const results: fc.Arbitrary<StepResult> = fc.constantFrom<StepResult>(
  { state: 'succeeded', rowsOut: 1 },
  { state: 'succeeded', warned: true },
  { state: 'failed', error: { code: 'x', message: 'x' } },
  { state: 'ready', delayMs: 60_000, error: { code: 'x', message: 'x' } },
  { state: 'waiting', delayMs: 60_000 },
  { state: 'ready', yielded: true },
)

export type Op =
  | { do: 'deliver'; pick: number }
  | { do: 'again'; pick: number; retry: boolean }
  | { do: 'complete'; pick: number; result: StepResult; isLast: boolean }
  | { do: 'checkpoint' | 'renew'; pick: number }
  | { do: 'expire' | 'due' | 'sweep' | 'start' }
  | { do: 'cancel'; pick: number }

const pick = fc.nat(50)
export const operations: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('deliver' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('again' as const), pick, retry: fc.boolean() }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('complete' as const),
      pick,
      result: results,
      isLast: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('checkpoint' as const, 'renew' as const), pick }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('expire' as const, 'due' as const, 'sweep' as const, 'start' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), pick }) },
)

/** A step that some delivery believes to hold. It is held in truth while no later fence has been given out for it. */
type Holder = { runId: RunId; step: ClaimedStep; delivery: string }
type StepState = {
  run_id: string
  key: string
  state: string
  fence: number
  needs: string[]
  run_when: PlannedStep['when']
  leased: boolean
}
type RunState = {
  id: string
  state: string
  unfinished: number
  events: number
  over: boolean
  seqs: number[] | null
  wakes: number
}

/** What the engine's functions are compared with: who holds what, by what the functions themselves have answered. */
export class Model {
  readonly runs: RunId[] = []
  private readonly holders: Holder[] = []
  private readonly held = new Map<string, Holder>()
  private readonly deliveries: { id: string; runId: RunId; outboxId: number }[] = []
  private readonly cancelling = new Set<RunId>()
  private readonly owner: pg.Client
  private readonly calls: EngineCalls
  private readonly tenantId: TenantId
  private readonly pipelineId: PipelineId
  private readonly concurrency: number | null
  private delivered = 0

  constructor(
    owner: pg.Client,
    calls: EngineCalls,
    tenantId: TenantId,
    pipelineId: PipelineId,
    concurrency: number | null,
  ) {
    this.owner = owner
    this.calls = calls
    this.tenantId = tenantId
    this.pipelineId = pipelineId
    this.concurrency = concurrency
  }

  async start(): Promise<void> {
    this.runs.push(await this.calls.start(this.pipelineId))
  }

  async perform(op: Op): Promise<void> {
    switch (op.do) {
      case 'start':
        return this.runs.length < 3 ? this.start() : undefined
      case 'deliver': {
        const waiting = await this.outbox()
        const message = waiting[op.pick % Math.max(waiting.length, 1)]
        return message ? this.deliver({ id: `msg_${this.delivered++}`, ...message }, false) : undefined
      }
      case 'again': {
        const earlier = this.deliveries[op.pick % Math.max(this.deliveries.length, 1)]
        return earlier ? this.deliver(earlier, op.retry) : undefined
      }
      case 'complete':
        return this.complete(this.holders[op.pick % Math.max(this.holders.length, 1)], op.result, op.isLast)
      case 'checkpoint': {
        const holder = this.holders[op.pick % Math.max(this.holders.length, 1)]
        return (
          holder &&
          this.expectCode(
            holder,
            await codeOf(this.calls.checkpoint(holder.runId, holder.step)),
            'checkpoint',
          )
        )
      }
      case 'renew':
        return this.renew(this.holders[op.pick % Math.max(this.holders.length, 1)])
      case 'cancel':
        return this.cancel(this.runs[op.pick % this.runs.length])
      case 'expire':
        await this.owner.query(
          `update steps set lease_until = now() - interval '1 s' where tenant_id = $1 and state = 'running'`,
          [this.tenantId],
        )
        return
      case 'due':
        await this.owner.query(
          `update steps set next_attempt_at = now() where tenant_id = $1 and next_attempt_at is not null`,
          [this.tenantId],
        )
        return
      case 'sweep':
        await this.calls.client.query('select * from app.sweep(1000)')
    }
  }

  /**
   * Delivers and completes whatever there is until every run is over; a run that is not then has been forgotten. Who holds
   * a step by now never says another word when all of them are to die.
   */
  async drain(allDie: boolean): Promise<void> {
    const dead = new Set(allDie ? this.held.values() : [])
    await this.perform({ do: 'expire' })
    await this.perform({ do: 'sweep' })
    for (let round = 0; round < 200; round++) {
      await this.perform({ do: 'due' })
      const alive = [...this.held.values()].filter((holder) => !dead.has(holder))
      for (const holder of alive) await this.complete(holder, { state: 'succeeded' })
      const open = await this.look()
      if (open.runs.every((run) => run.over)) return
      const waiting = await this.outbox()
      if (waiting.length === 0 && alive.length === 0) throw new Error(`nothing moves ${JSON.stringify(open)}`)
      for (const message of waiting) await this.deliver({ id: `msg_${this.delivered++}`, ...message }, false)
    }
    throw new Error('the runs did not end')
  }

  private async outbox(): Promise<{ runId: RunId; outboxId: number }[]> {
    const { rows } = await this.owner.query<{ runId: RunId; outboxId: number }>(
      `select payload->>'runId' as "runId", id::int as "outboxId" from outbox where tenant_id = $1 order by id`,
      [this.tenantId],
    )
    return rows
  }

  private async deliver(
    delivery: { id: string; runId: RunId; outboxId: number },
    retry: boolean,
  ): Promise<void> {
    this.deliveries.push(delivery)
    const claim = await this.calls.claim(delivery.runId, delivery.outboxId, delivery.id, retry)
    if (claim.outcome === 'claimed') this.hold(delivery.runId, claim.step, delivery.id)
    // A run that is being cancelled loses the steps that nobody works on.
    if (this.cancelling.has(delivery.runId)) {
      for (const step of (await this.look()).steps) {
        if (step.run_id === delivery.runId && step.state === 'cancelled')
          this.held.delete(`${delivery.runId} ${step.key}`)
      }
    }
  }

  private hold(runId: RunId, step: ClaimedStep, delivery: string): void {
    const name = `${runId} ${step.key}`
    const before = this.holders.filter((holder) => `${holder.runId} ${holder.step.key}` === name)
    if (before.some((holder) => holder.step.fence >= step.fence))
      throw new Error(`the fence of ${name} did not grow`)
    const holder = { runId, step, delivery }
    this.holders.push(holder)
    this.held.set(name, holder)
  }

  private async complete(holder: Holder | undefined, asked: StepResult, isLast = false): Promise<void> {
    if (!holder) return
    const { runId, step, delivery } = holder
    const isHeld = this.isHeld(holder)
    const result: StepResult =
      isHeld && this.cancelling.has(runId) && asked.state === 'succeeded' ? { state: 'cancelled' } : asked
    const wanted =
      isHeld && this.cancelling.has(runId) && result.state !== 'cancelled'
        ? 'WE002'
        : isHeld
          ? 'ok'
          : 'refused'
    let next: ClaimedStep | null | undefined
    const code = await codeOf(
      this.calls.complete(runId, step, result, delivery, isLast).then((completion) => {
        next = completion.step
      }),
    )
    if (next && isLast) throw new Error(`a delivery that takes no other step was given ${next.key}`)
    if (wanted === 'refused' ? code !== 'WE001' && code !== 'WE002' : code !== wanted) {
      throw new Error(`completing ${step.key} as ${result.state} gave ${code}, not ${wanted}`)
    }
    if (code !== 'ok') return
    this.held.delete(`${runId} ${step.key}`)
    if (next) this.hold(runId, next, delivery)
  }

  private async renew(holder: Holder | undefined): Promise<void> {
    if (!holder) return
    const said = await this.calls.renew(holder.runId, holder.step)
    const wanted = this.isHeld(holder)
      ? this.cancelling.has(holder.runId)
        ? 'cancelling'
        : 'held'
      : undefined
    if (wanted && said !== wanted) throw new Error(`renewing ${holder.step.key} gave ${said}, not ${wanted}`)
    const isTaken = (this.held.get(`${holder.runId} ${holder.step.key}`)?.step.fence ?? 0) > holder.step.fence
    if (isTaken && said !== 'lost')
      throw new Error(`${holder.step.key} was taken, and its renewal gave ${said}`)
  }

  private async cancel(runId: RunId | undefined): Promise<void> {
    const answer = runId ? await this.calls.cancel(runId) : null
    if (runId && answer && !answer.over && answer.runState === 'cancelling') this.cancelling.add(runId)
  }

  private expectCode(holder: Holder, code: string, doing: string): void {
    const wanted = !this.isHeld(holder) ? 'WE001' : this.cancelling.has(holder.runId) ? 'WE002' : 'ok'
    if (code !== wanted) throw new Error(`the ${doing} of ${holder.step.key} gave ${code}, not ${wanted}`)
  }

  private isHeld = (holder: Holder): boolean => this.held.get(`${holder.runId} ${holder.step.key}`) === holder

  private async look(): Promise<{ runs: RunState[]; steps: StepState[] }> {
    const runs = await this.owner.query<RunState>(
      `select r.id, r.state, r.unfinished, r.events, r.finished_at is not null as over,
         (select array_agg(e.seq order by e.seq) from run_events e where e.tenant_id = r.tenant_id and e.run_id = r.id) as seqs,
         (select count(*)::int from outbox o where o.tenant_id = r.tenant_id and o.payload->>'runId' = r.id) as wakes
       from runs r where r.tenant_id = $1 and r.pipeline_id = $2`,
      [this.tenantId, this.pipelineId],
    )
    const steps = await this.owner.query<StepState>(
      `select run_id, key, state, fence::int, needs, run_when, lease_until is not null as leased from steps where tenant_id = $1 and run_id = any($2)`,
      [this.tenantId, this.runs],
    )
    return { runs: runs.rows, steps: steps.rows }
  }

  /** What must be true between any two calls. */
  async check(): Promise<void> {
    const { runs, steps } = await this.look()
    const active = runs.filter((run) => !run.over && run.state !== 'queued')
    const complain = (what: string) => {
      throw new Error(`${what}: ${JSON.stringify({ runs, steps })}`)
    }
    if (this.concurrency !== null && active.length > this.concurrency)
      complain(`${active.length} runs at once`)
    for (const run of runs) {
      const own = steps.filter((step) => step.run_id === run.id)
      const open = own.filter((step) => !ended.has(step.state))
      if (run.unfinished !== open.length)
        complain(`${open.length} steps are unfinished, not ${run.unfinished}`)
      if (run.over !== (open.length === 0)) complain('a run is over when its last step has ended')
      if (run.seqs?.some((seq, i) => seq !== i + 1) || run.seqs?.length !== run.events)
        complain('the events have a gap')
      for (const step of own) {
        if (step.leased !== (step.state === 'running'))
          complain(`${step.key} is ${step.state} and its lease says otherwise`)
        if (run.state === 'cancelling' || run.state === 'cancelled') continue
        const verdict = verdictOf(step, own)
        if (verdict !== (verdicts[step.state] ?? 'run'))
          complain(`${step.key} is ${step.state} and must ${verdict}`)
      }
      const isAwake =
        run.wakes > 0 || own.some((step) => step.leased) || (run.state === 'queued' && active.length > 0)
      if (!run.over && !isAwake) complain('nobody will ever wake the run')
    }
  }
}

const ended = new Set(['succeeded', 'failed', 'skipped', 'cancelled'])
/** What decide() said of a step in these states; in all the others it was to run. */
const verdicts: Record<string, string> = { pending: 'wait', skipped: 'skip' }

/** A verdict never changes once it is not 'wait', so what became of the needs by now gives the same. */
function verdictOf(step: StepState, all: readonly StepState[]): string {
  if (step.needs.length === 0) return 'run'
  const needs = all.filter(({ key }) => step.needs.includes(key))
  const count = (...states: string[]) => needs.filter(({ state }) => states.includes(state)).length
  return decide(step.run_when, {
    total: needs.length,
    succeeded: count('succeeded'),
    failed: count('failed', 'cancelled'),
    skipped: count('skipped'),
  })
}
