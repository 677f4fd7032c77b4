/** Which parts of the cloud the environment names; each replaces its stand-in. */
export type Real = {
  database?: { url: string; ownerUrl: string; claimKey: string }
  redis?: { url: string; token: string }
  qstash?: {
    url: string
    token: string
    currentSigningKey: string
    nextSigningKey: string
    publicUrl: string
  }
  s3?: { endpoint: string; bucket: string; region: string; accessKeyId: string; secretAccessKey: string }
  mail?: { url: string; token: string; from: string }
}

/** A part is named by its first variable and then needs the others; what is missing is listed in one error. */
export function readReal(source: Record<string, string | undefined>): Real {
  const missing: string[] = []
  const group = <N extends string>(first: N, others: readonly N[]): Record<N, string> | undefined => {
    if (!source[first]) return undefined
    const absent = others.filter((name) => !source[name])
    missing.push(...absent.map((name) => `  ${name}: is needed because ${first} is set`))
    return Object.fromEntries([first, ...others].map((name) => [name, source[name] ?? ''])) as Record<
      N,
      string
    >
  }
  const database = group('DATABASE_URL', ['WEIR_OWNER_URL', 'CLAIM_KEY'])
  const redis = group('UPSTASH_REDIS_REST_URL', ['UPSTASH_REDIS_REST_TOKEN'])
  const qstash = group('QSTASH_URL', [
    'QSTASH_TOKEN',
    'QSTASH_CURRENT_SIGNING_KEY',
    'QSTASH_NEXT_SIGNING_KEY',
    'PUBLIC_URL',
  ])
  const s3 = group('S3_ENDPOINT', ['S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'])
  const mail = group('MAIL_URL', ['MAIL_TOKEN', 'MAIL_FROM'])
  for (const name of [
    'DATABASE_URL',
    'WEIR_OWNER_URL',
    'UPSTASH_REDIS_REST_URL',
    'QSTASH_URL',
    'S3_ENDPOINT',
    'MAIL_URL',
    'PUBLIC_URL',
  ]) {
    const value = source[name]
    const wanted =
      name === 'DATABASE_URL' || name === 'WEIR_OWNER_URL' ? /^postgres(ql)?:\/\/\S+/ : /^https?:\/\/\S+/
    if (value && !(wanted.test(value) && URL.canParse(value)))
      missing.push(`  ${name}: is no ${wanted.source.startsWith('^p') ? 'postgresql' : 'http'} address`)
  }
  if (missing.length)
    throw new Error(
      `The local stack cannot start; these environment variables are missing or wrong:\n${missing.join('\n')}`,
    )
  return {
    ...(database
      ? {
          database: {
            url: database.DATABASE_URL,
            ownerUrl: database.WEIR_OWNER_URL,
            claimKey: database.CLAIM_KEY,
          },
        }
      : {}),
    ...(redis ? { redis: { url: redis.UPSTASH_REDIS_REST_URL, token: redis.UPSTASH_REDIS_REST_TOKEN } } : {}),
    ...(qstash
      ? {
          qstash: {
            url: qstash.QSTASH_URL,
            token: qstash.QSTASH_TOKEN,
            currentSigningKey: qstash.QSTASH_CURRENT_SIGNING_KEY,
            nextSigningKey: qstash.QSTASH_NEXT_SIGNING_KEY,
            publicUrl: qstash.PUBLIC_URL,
          },
        }
      : {}),
    ...(s3
      ? {
          s3: {
            endpoint: s3.S3_ENDPOINT,
            bucket: s3.S3_BUCKET,
            region: source['S3_REGION'] ?? 'auto',
            accessKeyId: s3.S3_ACCESS_KEY_ID,
            secretAccessKey: s3.S3_SECRET_ACCESS_KEY,
          },
        }
      : {}),
    ...(mail ? { mail: { url: mail.MAIL_URL, token: mail.MAIL_TOKEN, from: mail.MAIL_FROM } } : {}),
  }
}
