import { toBase64Url } from './digest.ts'

export const invitationStates = ['open', 'used', 'revoked', 'expired'] as const
export type InvitationState = (typeof invitationStates)[number]

const pattern = /^weir_invitation_[A-Za-z0-9_-]{43}$/

/** 256 random bits that mean nothing; only their hash is stored, and the mail is the only place where they are written. */
export const newInvitationToken = (): string =>
  `weir_invitation_${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`

export const isInvitationToken = (text: string): boolean => pattern.test(text)

/** How long an invitation can be used, unless it says less. */
export const invitationDays = 7
