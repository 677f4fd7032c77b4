import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, tell, type Client } from '../../api.ts'
import { loading, type Answered, type ApiProblem, type Load } from '../../load.ts'
import type { Passkeys } from '../../passkeys.ts'

export type Factors = InferResponseType<Client['v1']['me']['factors']['$get'], 200>
export type Factor = Factors['items'][number]
type Begun = { secret: string; uri: string }
type Proof = { code: string } | { recoveryCode: string } | { password: string }

/** A person's own factors. What changes them may need a fresh proof first, and is done after it. */
export const SecurityModel = createModel(({ api, passkeys }: { api: Client; passkeys: Passkeys }) => {
  const { factors: routes } = api.v1.me
  const stepUp = api.v1.me['step-up']
  const factors = signal<Load<Factors>>(loading)
  const begun = signal<Begun | undefined>(undefined)
  const codes = signal<readonly string[]>([])
  const problem = signal<ApiProblem | undefined>(undefined)
  /** What waits for a proof. */
  const waiting = signal<(() => Promise<void>) | undefined>(undefined)

  async function load(): Promise<void> {
    factors.value = await ask(routes.$get())
  }

  async function guarded<T>(call: () => Promise<Answered<T>>, then: (value: T) => void): Promise<void> {
    problem.value = undefined
    const answer = await call()
    if (answer.state === 'ready') {
      then(answer.value)
      await load()
    } else if (answer.problem.status === 403) waiting.value = () => guarded(call, then)
    else problem.value = answer.problem
  }

  const enrolled = (value: { recoveryCodes: readonly string[] }) => {
    begun.value = undefined
    codes.value = value.recoveryCodes
  }

  async function proved(answer: Answered<unknown>): Promise<Answered<unknown>> {
    const next = waiting.value
    if (answer.state === 'failed' || next === undefined) return answer
    waiting.value = undefined
    await next()
    return answer
  }

  return {
    factors,
    begun,
    codes,
    problem,
    waiting,
    load,
    beginCodes: () =>
      guarded(
        () => ask<Begun>(routes.totp.$post({ json: {} })),
        (value) => {
          begun.value = value
        },
      ),
    async confirmCodes(code: string): Promise<Answered<unknown>> {
      const answer = await ask(routes.totp.confirm.$post({ json: { code } }))
      if (answer.state === 'ready') {
        enrolled(answer.value)
        await load()
      }
      return answer
    },
    addPasskey: (name: string) =>
      guarded(async () => {
        const options = await ask(routes.passkeys.options.$post())
        if (options.state === 'failed') return options
        const made = await passkeys.create(options.value)
        if (made.state === 'failed') return made
        return ask(routes.passkeys.$post({ json: { name, passkey: made.value } }))
      }, enrolled),
    renewCodes: () => guarded(() => ask(routes['recovery-codes'].$post()), enrolled),
    remove: (id: Factor['id']) => guarded(() => tell(routes[':id'].$delete({ param: { id } })), ignored),
    prove: async (proof: Proof) => proved(await ask(stepUp.$post({ json: proof }))),
    async proveWithPasskey(): Promise<Answered<unknown>> {
      const options = await ask(stepUp.options.$post())
      if (options.state === 'failed') return options
      const signed = await passkeys.get(options.value)
      if (signed.state === 'failed') return signed
      return proved(await ask(stepUp.$post({ json: { passkey: signed.value } })))
    },
  }
})

const ignored = () => undefined
