import { StepFailure } from '#src/domain/failure.ts'
import type { PostgresConnection } from './config.ts'

type Explained = { code: string; words: string; retryable?: boolean }
/** The parts of a driver's error that are ours to show: its code and the names of things, never its message. */
type DriverError = { code?: string; message?: string; table?: string; column?: string; constraint?: string }

/**
 * Says what the server or the socket said in our words. The driver's error is not kept, not even as the cause: its
 * message may hold values of rows, its query the tenant's SQL.
 */
export function explain(connection: PostgresConnection, error: unknown): StepFailure {
  if (error instanceof StepFailure) return error
  const { code, words, retryable } = explanation(connection, asDriverError(error))
  return new StepFailure(code, `Connection "${connection.name}": ${words}`, { retryable: retryable ?? false })
}

const asDriverError = (error: unknown): DriverError =>
  typeof error === 'object' && error !== null ? (error as DriverError) : {}

function explanation({ config }: PostgresConnection, error: DriverError): Explained {
  const code = error.code ?? ''
  const message = error.message ?? ''
  const server = `${config.host}:${config.port}`
  const socket = socketWords(code, message, server)
  if (socket) return socket
  const tls = tlsWords(code, message, server)
  if (tls) return tls
  if (code === '28000' && config.ssl === 'disable' && /no encryption/.test(message)) {
    return {
      code: 'tls_required',
      words: `${server} only accepts encrypted connections; set ssl to "require".`,
    }
  }
  const known = sqlStates[code]
  if (known) return known(config, error)
  const byClass = sqlClasses[code.slice(0, 2)]
  if (byClass && /^[0-9A-Z]{5}$/.test(code)) return byClass
  return /^[0-9A-Z]{5}$/.test(code)
    ? { code: 'server_error', words: `the server refused the statement (SQLSTATE ${code}).` }
    : { code: 'connection_lost', words: `the connection to ${server} was lost.`, retryable: true }
}

function socketWords(code: string, message: string, server: string): Explained | undefined {
  if (
    code === 'ECONNREFUSED' ||
    /ECONNREFUSED|connection refused|cannot connect to the specified/i.test(message)
  ) {
    return { code: 'connection_refused', words: `nothing accepts connections at ${server}.`, retryable: true }
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || /DNS lookup failed/i.test(message)) {
    return {
      code: 'unknown_host',
      words: `the host of ${server} is not known.`,
      retryable: code === 'EAI_AGAIN',
    }
  }
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') {
    return { code: 'unreachable', words: `${server} cannot be reached.`, retryable: true }
  }
  if (code === 'ETIMEDOUT') return timedOut(server)
  return undefined
}

const timedOut = (server: string): Explained => ({
  code: 'connect_timeout',
  words: `${server} did not answer in time.`,
  retryable: true,
})

function tlsWords(code: string, message: string, server: string): Explained | undefined {
  if (message === 'The server does not support SSL connections') {
    return {
      code: 'tls_unsupported',
      words: `${server} does not offer encryption; set ssl to "disable" to allow that.`,
    }
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code) || /certificate|TLS peer/i.test(message)) {
    return {
      code: 'tls_untrusted',
      words: `the certificate of ${server} is not trusted or is for another host.`,
    }
  }
  if (
    code.startsWith('ERR_SSL') ||
    code.startsWith('ERR_TLS') ||
    /SSL connection|TLS handshake/i.test(message)
  ) {
    return { code: 'tls_failed', words: `no encrypted connection to ${server} could be made.` }
  }
  return undefined
}

const nameTaken: Explained = {
  code: 'name_taken',
  words: 'something of that name was made meanwhile.',
  retryable: true,
}

const sqlStates: Record<string, (config: PostgresConnection['config'], error: DriverError) => Explained> = {
  '28P01': ({ user }) => ({ code: 'wrong_password', words: `the password for user "${user}" is wrong.` }),
  '28000': ({ user, database }) => ({
    code: 'access_denied',
    words: `the server does not let user "${user}" into database "${database}" from here.`,
  }),
  '3D000': ({ database }) => ({ code: 'unknown_database', words: `there is no database "${database}".` }),
  '3F000': () => ({ code: 'unknown_schema', words: 'the schema does not exist.' }),
  '42501': ({ user }, { table }) => ({
    code: 'permission_denied',
    words: `user "${user}" lacks a permission that this needs${table ? ` on "${table}"` : ''}.`,
  }),
  '42P01': () => ({ code: 'unknown_table', words: 'the table does not exist any more.' }),
  '42P07': () => nameTaken,
  '42703': () => ({ code: 'schema_mismatch', words: 'a column does not exist any more.' }),
  '0A000': () => ({ code: 'unsupported', words: 'the server does not support this on the table.' }),
  '21000': () => ({
    code: 'duplicate_key',
    words: 'the key occurs more than once in the rows to load; deduplicate them first.',
  }),
  '23502': (_, { column }) => ({ code: 'null_value', words: `column "${column ?? '?'}" must not be null.` }),
  '23503': (_, { constraint }) => ({
    code: 'constraint_violated',
    words: `rows break the foreign key "${constraint ?? '?'}".`,
  }),
  // Of two that make something of one name at the same moment, the catalogue's own index stops the second.
  '23505': (_, { constraint }) =>
    constraint?.startsWith('pg_')
      ? nameTaken
      : { code: 'duplicate_key', words: `rows repeat a value that "${constraint ?? '?'}" keeps unique.` },
  '23514': (_, { constraint }) => ({
    code: 'constraint_violated',
    words: `rows break the check "${constraint ?? '?'}".`,
  }),
  '53100': () => ({ code: 'server_full', words: 'the server has no disk space left.', retryable: true }),
  '53300': () => ({
    code: 'too_many_connections',
    words: 'the server has no connection free.',
    retryable: true,
  }),
  '55P03': () => ({ code: 'locked', words: 'somebody else holds a lock on the table.', retryable: true }),
  '57014': () => ({
    code: 'statement_timeout',
    words: 'the server cancelled the statement.',
    retryable: true,
  }),
}

/** By the first two characters of SQLSTATE, for what `sqlStates` does not name. */
const sqlClasses: Record<string, Explained> = {
  '08': { code: 'connection_lost', words: 'the connection was lost.', retryable: true },
  '22': { code: 'bad_value', words: 'a value does not fit the type or length of its column.' },
  '23': { code: 'constraint_violated', words: 'rows break a constraint of the table.' },
  '28': { code: 'access_denied', words: 'the server refused to let the user in.' },
  '40': { code: 'conflict', words: 'the server gave up because of another transaction.', retryable: true },
  '53': { code: 'server_busy', words: 'the server has run out of a resource.', retryable: true },
  '57': { code: 'server_unavailable', words: 'the server is starting or stopping.', retryable: true },
  '58': { code: 'server_error', words: 'the server has a problem of its own.', retryable: true },
  XX: { code: 'server_error', words: 'the server has a problem of its own.', retryable: true },
}
