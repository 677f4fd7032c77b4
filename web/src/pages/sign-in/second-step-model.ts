import { createModel, signal } from '@preact/signals'
import { ask, type Client } from '../../api.ts'
import type { Answered } from '../../load.ts'
import type { Passkeys } from '../../passkeys.ts'
import type { Challenge } from '../../second-step.ts'

type Opened = { recoveryCodes: readonly string[] }
type PasskeyAsked = { registration?: object; authentication?: object }
type Begun = { secret: string; uri: string }
type Environment = { api: Client; passkeys: Passkeys; challenge: Challenge }

/** The second step: a factor shown, or one set up where the tenant demands it and there is none. */
export const SecondStepModel = createModel(({ api, passkeys, challenge }: Environment) => {
  const { token } = challenge
  const { factor } = api.v1.sessions
  const begun = signal<Begun | undefined>(undefined)
  return {
    /** The secret for the app, while codes are set up. */
    begun,
    showCode: (code: string): Promise<Answered<Opened>> =>
      challenge.enrol
        ? opened(ask<unknown>(factor.enrol.$post({ json: { token, code } })))
        : opened(ask<unknown>(factor.$post({ json: { token, code } }))),
    showRecoveryCode: (recoveryCode: string): Promise<Answered<Opened>> =>
      opened(ask<unknown>(factor.$post({ json: { token, recoveryCode } }))),
    async beginCodes(): Promise<Answered<unknown>> {
      const answer = await ask(factor.totp.$post({ json: { token } }))
      if (answer.state === 'ready') begun.value = answer.value
      return answer
    },
    async showPasskey(): Promise<Answered<Opened>> {
      const asked = await ask<PasskeyAsked>(factor.passkey.options.$post({ json: { token } }))
      if (asked.state === 'failed') return asked
      if (asked.value.registration) {
        const made = await passkeys.create(asked.value.registration)
        if (made.state === 'failed') return made
        return opened(
          ask<unknown>(factor.enrol.$post({ json: { token, passkey: made.value, name: 'Passkey' } })),
        )
      }
      const signed = await passkeys.get(asked.value.authentication ?? {})
      if (signed.state === 'failed') return signed
      return opened(ask<unknown>(factor.$post({ json: { token, passkey: signed.value } })))
    },
  }
})

async function opened(answer: Promise<Answered<unknown>>): Promise<Answered<Opened>> {
  const known = await answer
  if (known.state === 'failed') return known
  // The client's type is a union of every way that a sign-in is answered.
  const { recoveryCodes = [] } = known.value as { recoveryCodes?: readonly string[] }
  return { state: 'ready', value: { recoveryCodes } }
}
