import { useModel, useSignal } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { entranceApi, session } from '../../browser.ts'
import { passkeys } from '../../passkeys.ts'
import { awaited, type Challenge } from '../../second-step.ts'
import { nextPath } from '../../session.ts'
import { Field, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { QrCode } from '../../ui/qr-code.tsx'
import { RecoveryCodes } from '../../ui/recovery-codes.tsx'
import { SecondStepModel } from './second-step-model.ts'

type Way = 'totp' | 'passkey' | 'recovery'

/** The second step of a sign-in: one of the person's factors, or their first one where the tenant demands it. */
export function SecondStep({ challenge }: { challenge: Challenge & { returnTo?: string } }) {
  const { route } = useLocation()
  const model = useModel(() => new SecondStepModel({ api: entranceApi, passkeys, challenge }))
  const ways = (['totp', 'passkey', 'recovery'] as const).filter((way) => challenge.factors.includes(way))
  const way = useSignal<Way>(ways[0] ?? 'totp')
  const codes = useSignal<readonly string[]>([])

  async function enter() {
    awaited.value = undefined
    await session.open()
    if (challenge.returnTo !== undefined) route(nextPath(challenge.returnTo), true)
  }
  const then = async ({ recoveryCodes }: { recoveryCodes: readonly string[] }) => {
    codes.value = recoveryCodes
    if (recoveryCodes.length === 0) await enter()
  }
  if (codes.value.length > 0) return <RecoveryCodes codes={codes.value} done={() => void enter()} />
  return (
    <>
      <p>
        {challenge.enrol
          ? 'This organisation asks for a second factor. Set one up to go on.'
          : 'Show that it is you, once more.'}
      </p>
      {way.value === 'passkey' && <PasskeyStep model={model} enrol={challenge.enrol} then={then} />}
      {way.value === 'totp' && challenge.enrol && !model.begun.value && <BeginCodes model={model} />}
      {way.value === 'totp' && (!challenge.enrol || model.begun.value) && (
        <CodeStep model={model} then={then} />
      )}
      {way.value === 'recovery' && <RecoveryStep model={model} then={then} />}
      {ways
        .filter((other) => other !== way.value)
        .map((other) => (
          <p key={other}>
            <button type="button" onClick={() => (way.value = other)}>
              {words[other]}
            </button>
          </p>
        ))}
      <p>
        <button type="button" onClick={() => (awaited.value = undefined)}>
          Sign in as somebody else
        </button>
      </p>
    </>
  )
}

const words: Record<Way, string> = {
  totp: 'Use an authenticator app',
  passkey: 'Use a passkey',
  recovery: 'Use a recovery code',
}

type Model = InstanceType<typeof SecondStepModel>
type StepProps = { model: Model; then: (opened: { recoveryCodes: readonly string[] }) => Promise<void> }

function CodeStep({ model, then }: StepProps) {
  const { submit, busy, problem } = useSubmit((form) => model.showCode(text(form, 'code')), then)
  const begun = model.begun.value
  return (
    <form onSubmit={submit}>
      {begun && (
        <>
          <p>Scan this with your authenticator app, or type the key into it.</p>
          <QrCode value={begun.uri} />
          <p>
            <code>{begun.secret}</code>
          </p>
        </>
      )}
      <Field label="Code" name="code" hint="Six digits from your authenticator app" problem={problem}>
        {(field) => (
          <input {...field} inputMode="numeric" autoComplete="one-time-code" pattern="[0-9]{6}" required />
        )}
      </Field>
      <FormAlert problem={problem} shown={['code']} />
      <button type="submit" data-main disabled={busy.value}>
        Go on
      </button>
    </form>
  )
}

function RecoveryStep({ model, then }: StepProps) {
  const { submit, busy, problem } = useSubmit(
    (form) => model.showRecoveryCode(text(form, 'recoveryCode')),
    then,
  )
  return (
    <form onSubmit={submit}>
      <Field label="Recovery code" name="recoveryCode" hint="Each is good once" problem={problem}>
        {(field) => <input {...field} autoComplete="off" required />}
      </Field>
      <FormAlert problem={problem} shown={['recoveryCode']} />
      <button type="submit" data-main disabled={busy.value}>
        Go on
      </button>
    </form>
  )
}

function BeginCodes({ model }: { model: Model }) {
  const { submit, busy, problem } = useSubmit(
    () => model.beginCodes(),
    () => undefined,
  )
  return (
    <form onSubmit={submit}>
      <FormAlert problem={problem} shown={[]} />
      <button type="submit" data-main disabled={busy.value}>
        Set up an authenticator app
      </button>
    </form>
  )
}

function PasskeyStep({ model, enrol, then }: StepProps & { enrol: boolean }) {
  const { submit, busy, problem } = useSubmit(() => model.showPasskey(), then)
  return (
    <form onSubmit={submit}>
      <FormAlert problem={problem} shown={[]} />
      <button type="submit" data-main disabled={busy.value}>
        {enrol ? 'Make a passkey' : 'Show your passkey'}
      </button>
    </form>
  )
}
