import { toBase64Url } from './digest.ts'

const pattern = /^weir_link_[A-Za-z0-9_-]{43}$/

/** What is in a link that is mailed: 256 random bits, of which only a hash is kept. */
export const newLinkToken = (): string =>
  `weir_link_${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`

export const isLinkToken = (text: string): boolean => pattern.test(text)

const minuteMs = 60_000

/** How long each kind of link is good for. The undo of a change of address waits for somebody who reads mail on Mondays. */
export const linkMs = {
  verify: 60 * minuteMs,
  link: 15 * minuteMs,
  reset: 30 * minuteMs,
  change: 60 * minuteMs,
  undo: 3 * 24 * 60 * minuteMs,
} as const
export type LinkPurpose = keyof typeof linkMs

/** The page of the console that each link leads to; what is after # never reaches a server's log. */
const pages = {
  verify: 'verify',
  link: 'link',
  reset: 'reset',
  change: 'verify',
  undo: 'verify',
} as const satisfies Record<LinkPurpose, string>

export function linkUrl(publicUrl: string, purpose: LinkPurpose, token: string): string {
  const kind = pages[purpose] === purpose ? '' : `&for=${purpose}`
  return `${publicUrl}/${pages[purpose]}#token=${token}${kind}`
}
