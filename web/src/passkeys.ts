import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/browser'
import type { Answered } from './load.ts'

type Plain<T> = Omit<T, 'clientExtensionResults'> & { clientExtensionResults: Record<string, unknown> }

/** What the browser's own dialogs for passkeys give, for the options that the server has made. */
export type Passkeys = {
  create(options: object): Promise<Answered<Plain<RegistrationResponseJSON>>>
  get(options: object): Promise<Answered<Plain<AuthenticationResponseJSON>>>
}

/** Loaded when the first passkey is asked for. */
const library = () => import('@simplewebauthn/browser')

// The server's half of the library has made the options; on the way only their types were lost.
export const passkeys: Passkeys = {
  create: (options) =>
    answered(async () =>
      plain(
        await (
          await library()
        ).startRegistration({ optionsJSON: options as PublicKeyCredentialCreationOptionsJSON }),
      ),
    ),
  get: (options) =>
    answered(async () =>
      plain(
        await (
          await library()
        ).startAuthentication({ optionsJSON: options as PublicKeyCredentialRequestOptionsJSON }),
      ),
    ),
}

const plain = <T extends { clientExtensionResults: object }>(given: T): Plain<T> => {
  const { clientExtensionResults, ...rest } = given
  return { ...rest, clientExtensionResults: { ...clientExtensionResults } }
}

/** Whatever the dialog ended with other than a passkey: most often somebody has closed it. */
async function answered<T>(work: () => Promise<T>): Promise<Answered<T>> {
  try {
    return { state: 'ready', value: await work() }
  } catch (error) {
    const known = error instanceof Error && error.name === 'InvalidStateError'
    const detail = known
      ? 'This device holds a passkey for this account already.'
      : 'No passkey was shown. Try again, or choose another way.'
    return { state: 'failed', problem: { status: 0, code: 'no_passkey', detail } }
  }
}
