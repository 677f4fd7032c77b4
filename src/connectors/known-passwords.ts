import { toHex } from '#src/domain/digest.ts'

const patienceMs = 2_000
const mostBytes = 256 * 1024

export type IsKnownPassword = (password: string) => Promise<boolean>

/**
 * Whether a password is known from stolen lists, by a range query: only the first five characters of its SHA-1 leave here
 * (k-anonymity), and the answer is padded, so that its length says nothing either. Where nobody answers in time, a list of
 * the commonest ones has to do: signing up must not depend on it.
 * @param rangeUrl of a service that speaks the format of Have I Been Pwned; without it the list alone is asked
 */
export function knownPasswords(
  rangeUrl: string | undefined,
  log: (entry: Record<string, unknown>) => void,
): IsKnownPassword {
  return async (password) => {
    const { isCommonPassword } = await import('#src/domain/common-passwords.ts')
    if (isCommonPassword(password)) return true
    if (rangeUrl === undefined) return false
    try {
      return await isInRange(rangeUrl, password)
    } catch (error) {
      log({ event: 'known_passwords.unavailable', name: error instanceof Error ? error.name : typeof error })
      return false
    }
  }
}

async function isInRange(rangeUrl: string, password: string): Promise<boolean> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(password))
  const hash = toHex(new Uint8Array(digest)).toUpperCase()
  const response = await fetch(`${rangeUrl}${hash.slice(0, 5)}`, {
    headers: { 'Add-Padding': 'true', 'User-Agent': 'Weir' },
    redirect: 'manual',
    signal: AbortSignal.timeout(patienceMs),
  })
  if (!response.ok || Number(response.headers.get('content-length') ?? 0) > mostBytes) {
    await response.body?.cancel()
    throw new Error(`a range was answered with ${response.status}`)
  }
  const suffix = hash.slice(5)
  // A count of 0 is padding.
  return (await response.text())
    .split('\n')
    .some((line) => line.startsWith(`${suffix}:`) && Number(line.slice(suffix.length + 1)) > 0)
}
