import { fromBase64Url } from './digest.ts'

/** Words that stand in examples, and long enough never to stand in something random. */
const exampleWords =
  /example|changeme|change[_-]me|secret|password|passw0rd|placeholder|default|minioadmin|replace|insert[_-]?your/i

/** Published keys: RFC 8037's and the first bytes that a hand counts up. */
const published: ReadonlySet<string> = new Set([
  'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8',
])

/**
 * Why a text can be no random secret; undefined when nothing speaks against it. Each rule refuses a random text of the
 * usual lengths less than once in a million times.
 */
export function whyWeak(secret: string): string | undefined {
  if (published.has(secret) || exampleWords.test(secret)) return 'is an example, not a secret of your own'
  if (/(.)\1{7}/s.test(secret) || /^(.{1,16})\1+$/s.test(secret)) return 'repeats itself'
  if (new Set(secret).size < Math.min(8, secret.length / 2)) return 'is made of too few different characters'
  if (steps(secret) > secret.length / 2) return 'counts up or down'
  return undefined
}

/** How often the next character is the one after or before. */
function steps(text: string): number {
  let found = 0
  for (let i = 1; i < text.length; i++)
    if (Math.abs(text.charCodeAt(i) - text.charCodeAt(i - 1)) === 1) found++
  return found
}

/** Whether a key that should be random bytes in base64url is somebody's sentence. Vendors' tokens may well be. */
export function isPhrase(key: string): boolean {
  const bytes = fromBase64Url(key)
  return bytes !== undefined && bytes.length >= 20 && bytes.every((byte) => byte >= 32 && byte < 127)
}
