import * as z from 'zod'

const text = z.string().max(16_384)
const extensions = z.record(z.string().max(100), z.unknown())
const attachment = z.enum(['platform', 'cross-platform']).exactOptional()

/** What a browser's `navigator.credentials.get` gives, as JSON. */
export const signature = z.object({
  id: z.string().max(1_400),
  rawId: z.string().max(1_400),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: text,
    authenticatorData: text,
    signature: text,
    userHandle: z.string().max(200).exactOptional(),
  }),
  clientExtensionResults: extensions,
  authenticatorAttachment: attachment,
})

/** What a browser's `navigator.credentials.create` gives, as JSON. */
export const registration = z.object({
  id: z.string().max(1_400),
  rawId: z.string().max(1_400),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: text,
    attestationObject: text,
    transports: z.array(z.string().max(40)).max(10).exactOptional(),
  }),
  clientExtensionResults: extensions,
  authenticatorAttachment: attachment,
})

export const code = z.string().regex(/^\d{6}$/, 'must be six digits')
export const factorName = z.string().trim().min(1).max(100)
export const challengeToken = z.string().max(100)

/** One of the three. */
export const shown = z.union([
  z.strictObject({ code }),
  z.strictObject({ recoveryCode: z.string().max(100) }),
  z.strictObject({ passkey: signature }),
])
