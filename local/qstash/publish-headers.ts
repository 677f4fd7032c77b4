import { readDuration } from './delays.ts'
import { parseDelayExpression } from './expression.ts'
import { badRequest } from './failure.ts'
import { canonicalCase, type Callback, type FlowControl, type Redaction, type Spec } from './message.ts'

/** Lower-case names, each with its values. */
export type Headers = Map<string, string[]>

const methods = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'])
const weekMs = 7 * 86_400_000
/** They belong to one connection and are never sent on. */
const connectionHeaders = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'upgrade',
  'expect',
])
/** Not part of what `Upstash-Header-Forward: true` sends on either. */
const ownHeaders = new Set([...connectionHeaders, 'content-type', 'authorization'])

export function readSpec(headers: Headers): Spec {
  const spec: Spec = { method: 'POST', headers: {}, maxRetries: 3, isContentDeduplicated: false, labels: [] }
  const forwardsAll = one(headers, 'upstash-header-forward') === 'true'
  for (const [name, values] of headers) {
    const value = values[0] ?? ''
    if (name === 'content-type') spec.headers['Content-Type'] = [value]
    else if (!name.startsWith('upstash-')) {
      if (forwardsAll && !ownHeaders.has(name)) spec.headers[canonicalCase(name)] = values
    } else if (name.startsWith('upstash-forward-')) {
      const forwarded = name.slice('upstash-forward-'.length)
      if (!connectionHeaders.has(forwarded)) spec.headers[canonicalCase(forwarded)] = values
    } else apply(spec, name, value)
  }
  const callback = one(headers, 'upstash-callback')
  if (callback) spec.callback = readCallback(headers, callback, 'upstash-callback-')
  const failureCallback = one(headers, 'upstash-failure-callback')
  if (failureCallback)
    spec.failureCallback = readCallback(headers, failureCallback, 'upstash-failure-callback-')
  const flowKey = one(headers, 'upstash-flow-control-key')
  if (flowKey) spec.flow = readFlowControl(flowKey, one(headers, 'upstash-flow-control-value') ?? '')
  return spec
}

function apply(spec: Spec, name: string, value: string): void {
  if (name === 'upstash-method') spec.method = readMethod(value)
  else if (name === 'upstash-delay') spec.delayMs = value === '' ? undefined : duration(name, value)
  else if (name === 'upstash-not-before') spec.notBefore = count(name, value) * 1_000
  else if (name === 'upstash-retries') spec.maxRetries = count(name, value)
  else if (name === 'upstash-retry-delay') spec.retryDelay = expression(value)
  else if (name === 'upstash-timeout') spec.timeoutMs = duration(name, value)
  else if (name === 'upstash-deduplication-id') spec.deduplicationId = value
  else if (name === 'upstash-content-based-deduplication') spec.isContentDeduplicated = value === 'true'
  else if (name === 'upstash-queue-name') spec.queueName = readName('queue', value)
  else if (name === 'upstash-label') spec.labels = list(value)
  else if (name === 'upstash-redact-fields') spec.redact = readRedaction(value)
}

export const one = (headers: Headers, name: string): string | undefined => headers.get(name)?.[0]

export function readName(what: string, name: string): string {
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    throw badRequest(`invalid ${what} name "${name}": only letters, digits, ".", "_" and "-" are allowed`)
  return name
}

export function checkUrl(url: string, what = 'destination url'): string {
  if (!/^https?:\/\//i.test(url))
    throw badRequest(
      `invalid ${what}: endpoint has invalid scheme, add http:// or https:// in front of your URL`,
    )
  if (!URL.canParse(url)) throw badRequest(`invalid ${what}: endpoint is not a URL`)
  return url
}

function readCallback(headers: Headers, url: string, prefix: string): Callback {
  const value = (name: string): string | undefined => one(headers, prefix + name)
  const method = value('method')
  const retries = value('retries')
  const retryDelay = value('retry-delay')
  const timeout = value('timeout')
  const delay = value('delay')
  const callback: Callback = {
    url: checkUrl(url, 'callback url'),
    method: method === undefined ? 'POST' : readMethod(method),
    headers: { 'Content-Type': ['application/json'] },
    retries: retries === undefined ? 3 : count(`${prefix}retries`, retries),
    retryDelay: retryDelay === undefined ? undefined : expression(retryDelay),
    timeoutMs: timeout === undefined ? undefined : duration(`${prefix}timeout`, timeout),
    delayMs: delay === undefined ? 0 : duration(`${prefix}delay`, delay),
  }
  const forward = `${prefix}forward-`
  for (const [name, values] of headers)
    if (name.startsWith(forward)) callback.headers[canonicalCase(name.slice(forward.length))] = values
  return callback
}

function readFlowControl(key: string, text: string): FlowControl {
  const flow: FlowControl = { key: readName('flow control', key), periodMs: 1_000 }
  for (const part of list(text)) {
    const [name, value = ''] = part.split('=', 2).map((each) => each.trim())
    if (name === 'parallelism') flow.parallelism = count('parallelism', value)
    else if (name === 'rate' || name === 'ratePerSecond') flow.rate = count('rate', value)
    else if (name === 'period') flow.periodMs = duration('period', value)
    else throw badRequest(`invalid Upstash-Flow-Control-Value: "${part}" is not known`)
  }
  if (!flow.parallelism && !flow.rate)
    throw badRequest('invalid Upstash-Flow-Control-Value: parallelism or rate must be given')
  if (flow.periodMs < 1_000 || flow.periodMs > weekMs)
    throw badRequest('invalid Upstash-Flow-Control-Value: period must be between 1s and 7d')
  return flow
}

function readRedaction(text: string): Redaction {
  const redact: Redaction = { body: false, allHeaders: false, headers: [] }
  for (const field of list(text)) {
    const header = /^header\[(.+)\]$/.exec(field)?.[1]
    if (field === 'body') redact.body = true
    else if (field === 'header') redact.allHeaders = true
    else if (header !== undefined) redact.headers.push(canonicalCase(header))
    else throw badRequest(`invalid Upstash-Redact-Fields: "${field}" is not known`)
  }
  return redact
}

function readMethod(value: string): string {
  const method = value.toUpperCase()
  if (!methods.has(method)) throw badRequest(`invalid method "${value}"`)
  return method
}

function count(name: string, value: string): number {
  if (!/^\d{1,15}$/.test(value.trim())) throw badRequest(`invalid ${name}: "${value}" is not a whole number`)
  return Number(value)
}

function duration(name: string, value: string): number {
  const ms = readDuration(value)
  if (ms === undefined)
    throw badRequest(`invalid ${name}: "${value}" is not a duration such as 1d10h30m or 50s`)
  return ms
}

function expression(value: string): string {
  try {
    parseDelayExpression(value)
  } catch (error) {
    throw badRequest(
      `invalid retry delay: ${error instanceof SyntaxError ? error.message : 'not an expression'}`,
    )
  }
  return value
}

const list = (value: string): string[] =>
  value
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
