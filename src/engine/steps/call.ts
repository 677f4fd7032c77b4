import { publicUrl } from '#src/connectors/public-url.ts'
import { outboxIdIn, outboxInsert } from '#src/db/outbox.ts'
import type { Answer, CallRequest } from '#src/domain/call.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { failureOfStatus } from '#src/domain/http-failure.ts'
import { isDeeperThan, storableJson, storableText, type Json } from '#src/domain/json.ts'
import type { Call } from '#src/domain/step.ts'
import { resolve, resolveText, type Scope } from '#src/domain/template.ts'
import { markOf, namesOf } from '../names.ts'
import { handOverRequest } from '../outgoing.ts'
import type { StepOutcome, StepWork } from '../step.ts'

type CallWork = StepWork<'call'>

/** The attempt that has asked, and whom. `callback`: for those who start the work by hand. */
type Place = { asked: number; host?: string; callback?: { url: string } }

/**
 * Has a request made by QStash, or gives away a callback URL, and waits for the answer without a Worker. The request is in
 * the outbox of the transaction that makes the step wait, so an answer never comes too early and none is asked for twice.
 */
export async function executeCall(work: CallWork): Promise<StepOutcome> {
  const { claimed, definition } = work
  const place = claimed.cursor as Place | null
  const answer = claimed.answer as Answer | null | undefined
  if (answer)
    return { result: { state: 'succeeded', rowsOut: 0, cursor: null, output: outputOf(work, answer, place) } }
  if (place?.asked === claimed.attempt)
    throw new StepFailure('timeout', `No answer came within ${seconds(definition.call.deadlineMs)}.`, {
      retryable: true,
    })
  return ask(work)
}

async function ask(work: CallWork): Promise<StepOutcome> {
  const { services, db, run, claimed, definition, budget } = work
  const { call } = definition
  const key = crypto.randomUUID()
  const address = {
    tenantId: db.tenantId,
    runId: run.id,
    step: claimed.key,
    mapIndex: claimed.mapIndex,
    key,
    expiresAtMs: services.now().getTime() + call.deadlineMs,
  }
  const callback =
    call.answer === 'callback'
      ? {
          url: `${services.publicUrl}/v1/callbacks/${await services.answerTokens.sign({ ...address, from: 'callback' })}`,
        }
      : undefined
  const waiting = (place: Place): StepOutcome['result'] => ({
    state: 'waiting',
    delayMs: call.deadlineMs,
    answerKey: key,
    cursor: place,
  })
  if (call.url === undefined)
    return { result: waiting({ asked: claimed.attempt, ...(callback ? { callback } : {}) }) }

  const names: Scope = { ...namesOf(work), ...(callback ? { callback } : {}) }
  const url = await publicUrl(resolveText(call.url, names), {
    ownUrl: services.publicUrl,
    allowPrivate: services.allowPrivateHosts,
  })
  const request: CallRequest = {
    id: markOf(work),
    url: url.href,
    method: call.method,
    ...contentOf(call, names),
    timeoutMs: call.deadlineMs,
    token: await services.answerTokens.sign({ ...address, from: 'qstash' }),
    tells: call.answer === 'callback' ? 'failure' : 'all',
  }
  return {
    statements: [outboxInsert(db.tenantId, 'call', request.id, request)],
    result: waiting({ asked: claimed.attempt, host: url.host }),
    afterwards: async (results) => {
      const outboxId = outboxIdIn(results, request.id)
      budget.spend(2)
      if (outboxId !== undefined) await handOverRequest(services, db.tenantId, outboxId, request)
    },
  }
}

const most = { bodyBytes: 64 * 1024, headers: 50, headerBytes: 16 * 1024 }

function contentOf(call: Call, names: Scope): { headers: Record<string, string>; body?: string } {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(call.headers)) {
    const text = resolveText(value, names)
    if (/[^\t\x20-\x7e\x80-\xff]/.test(text))
      throw new StepFailure('bad_header', `The header "${name}" has a value that no header can have.`)
    headers[name] = text
  }
  const size = Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (Object.keys(headers).length > most.headers || size > most.headerBytes)
    throw new StepFailure(
      'call_too_large',
      `A request may have ${most.headers} headers of ${most.headerBytes / 1024} KB together.`,
    )
  if (call.body === undefined || call.method === 'GET' || call.method === 'HEAD') return { headers }
  const value = resolve(call.body, names)
  const body = typeof value === 'string' ? storableText(value) : JSON.stringify(value)
  if (new TextEncoder().encode(body).length > most.bodyBytes)
    throw new StepFailure(
      'call_too_large',
      `The body of a request may have ${most.bodyBytes / 1024} KB; store more than that and send its place.`,
    )
  const isTyped = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')
  const type = typeof value === 'string' ? 'text/plain; charset=utf-8' : 'application/json'
  return { headers: isTyped ? headers : { ...headers, 'Content-Type': type }, body }
}

function outputOf(work: CallWork, answer: Answer, place: Place | null): Record<string, Json> {
  if ('problem' in answer) {
    const { code, message, retryable } = answer.problem
    throw new StepFailure(code, message, { retryable })
  }
  if ('callback' in answer) {
    const { status, output, error } = answer.callback
    if (status === 'failed')
      throw new StepFailure('call_failed', error ?? 'What was called says that it failed.', {
        retryable: true,
      })
    return { status, body: (output as Json | undefined) ?? null }
  }
  if (!('response' in answer))
    throw new StepFailure('unexpected', 'The step was given an answer of another kind.')
  const { status, headers, body } = answer.response
  if (status >= 300) {
    const who = place?.host ?? 'The host'
    throw failureOfStatus(status, headers, who, work.services.now(), body)
  }
  return { status, headers, body: bodyOf(body, headers['content-type']) }
}

const deepest = 32

/** JSON where that is what it says it is, or it says nothing; else the text. */
function bodyOf(text: string, type: string | undefined): Json {
  if (text === '') return null
  if (type !== undefined && !/^[\w.-]+\/([\w.-]+\+)?json\b/i.test(type)) return text
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    return text
  }
  if (isDeeperThan(value, deepest))
    throw new StepFailure('answer_too_deep', `The answer's JSON is nested more than ${deepest} deep.`)
  return storableJson(value)
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`
