const period = 30
const issuer = 'Weir'

/** 160 random bits in base32, as authenticator apps read them. */
export async function newTotpSecret(email: string): Promise<{ secret: string; uri: string }> {
  const { Secret, TOTP } = await import('otpauth')
  const secret = Secret.fromHex(
    Array.from(crypto.getRandomValues(new Uint8Array(20)), (byte) => byte.toString(16).padStart(2, '0')).join(
      '',
    ),
  )
  return { secret: secret.base32, uri: new TOTP({ issuer, label: email, secret, period }).toString() }
}

/** The time step that the code belongs to: this one, the one before or the one after. Undefined when it is none of theirs. */
export async function stepOfCode(secret: string, code: string, now: Date): Promise<number | undefined> {
  const { Secret, TOTP } = await import('otpauth')
  const timestamp = now.getTime()
  const delta = TOTP.validate({
    token: code,
    secret: Secret.fromBase32(secret),
    period,
    timestamp,
    window: 1,
  })
  return delta === null ? undefined : TOTP.counter({ period, timestamp }) + delta
}
