import type { Services } from './actions/context.ts'
import { passwordCost } from './actions/passwords.ts'
import { liveTeller } from './cache/live.ts'
import { connectRedis } from './cache/redis.ts'
import { knownPasswords } from './connectors/known-passwords.ts'
import { postMail } from './connectors/mail.ts'
import { connectDatabase } from './db/database.ts'
import { secretBox } from './db/secrets.ts'
import { answerTokens } from './domain/answer-token.ts'
import { placeSigner } from './domain/audit.ts'
import { deviceTokens } from './domain/device-token.ts'
import { defaultLimits } from './domain/limit.ts'
import { sealFor } from './domain/seal.ts'
import { deliveryLimits } from './engine/budget.ts'
import type { Env } from './env.ts'
import { printLine } from './http/request-log.ts'
import type { SqlParser } from './lineage/sql.ts'
import { jobSender, requestSender } from './queues/send.ts'
import { connectStorage } from './storage/storage.ts'

/** The only place that connects. Nothing is sent before the first request; the modules are PostgreSQL's own grammar and QuickJS. */
export function buildServices(
  env: Env,
  parserModule: WebAssembly.Module,
  sandboxModule: () => Promise<WebAssembly.Module>,
): Services {
  const now = () => new Date()
  const cache = connectRedis({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN })
  const send = jobSender({ url: env.QSTASH_URL, token: env.QSTASH_TOKEN, publicUrl: env.PUBLIC_URL })
  const tell = liveTeller(cache)
  const masterKeys = [env.MASTER_KEY, ...(env.MASTER_KEY_PREVIOUS ? [env.MASTER_KEY_PREVIOUS] : [])]
  const tokenKeys = [env.TOKEN_KEY, ...(env.TOKEN_KEY_PREVIOUS ? [env.TOKEN_KEY_PREVIOUS] : [])]
  const { MAIL_URL: url, MAIL_TOKEN: token, MAIL_FROM: from } = env
  let loaded: Promise<SqlParser> | undefined
  const parser = () =>
    (loaded ??= import('./lineage/sql.ts').then(({ loadParser }) => loadParser(parserModule)))
  return {
    env,
    cache,
    limits: defaultLimits,
    passwordCost,
    database: connectDatabase({
      url: env.DATABASE_URL,
      gateway: env.NEON_GATEWAY,
      claimKey: env.CLAIM_KEY,
      now,
    }),
    storage: connectStorage({
      endpoint: env.S3_ENDPOINT,
      bucket: env.S3_BUCKET,
      region: env.S3_REGION,
      accessKeyId: env.S3_ACCESS_KEY_ID,
      secretAccessKey: env.S3_SECRET_ACCESS_KEY,
    }),
    secrets: secretBox(masterKeys),
    sandbox: async (script) => {
      const [{ openSandbox }, module] = await Promise.all([import('./sandbox/sandbox.ts'), sandboxModule()])
      return openSandbox(module, script)
    },
    parser: { checkSelect: async (text, parameters) => (await parser()).checkSelect(text, parameters) },
    async send(tenantId, messages) {
      try {
        await send(tenantId, messages)
      } catch (error) {
        printLine({
          event: 'send.failed',
          tenantId,
          messages: messages.length,
          name: error instanceof Error ? error.name : typeof error,
        })
      }
    },
    request: requestSender({ url: env.QSTASH_URL, token: env.QSTASH_TOKEN, publicUrl: env.PUBLIC_URL }),
    answerTokens: answerTokens(masterKeys),
    placeSigner: placeSigner(tokenKeys, now),
    mailSeal: sealFor('mail', masterKeys),
    postMail: url && token && from ? (mail) => postMail({ url, token, from }, mail) : undefined,
    devices: deviceTokens(masterKeys),
    isKnownPassword: knownPasswords(
      env.PASSWORD_RANGE_URL === 'off' ? undefined : env.PASSWORD_RANGE_URL,
      printLine,
    ),
    publicUrl: env.PUBLIC_URL,
    deliveryLimits: { ...deliveryLimits, calls: Number(env.DELIVERY_CALLS) },
    live: (tenantId, runId, last) => void tell(tenantId, runId, last),
    allowPrivateHosts: env.ALLOW_PRIVATE_HOSTS === 'true',
    now,
    random: Math.random,
    log: printLine,
  }
}
