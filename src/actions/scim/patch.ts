import * as z from 'zod'
import type { ScimPatchOperation, ScimResource } from 'scim-patch'
import { scimSchemas, ScimProblem, type ScimGroupWrite } from '#src/domain/scim.ts'
import { attributeName } from './user-resource.ts'

const mostOperations = 100
const mostMembers = 5_000

const patch = z.looseObject({
  schemas: z.array(z.string()),
  Operations: z
    .array(
      z.looseObject({
        op: z
          .string()
          .transform((op) => op.toLowerCase())
          .pipe(z.enum(['add', 'replace', 'remove'])),
        path: z.string().trim().min(1).max(500).nullish(),
        value: z.unknown().optional(),
      }),
    )
    .min(1)
    .max(mostOperations),
})
type Operation = { op: 'add' | 'replace' | 'remove'; path: string; value: unknown }

/** The operations, each with its path: one without a path is one for each attribute that it names. */
export function operationsOf(body: unknown): Operation[] {
  const parsed = patch.safeParse(body)
  if (!parsed.success || !parsed.data.schemas.includes(scimSchemas.patch))
    throw new ScimProblem(
      'malformed',
      'invalidSyntax',
      `Send {"schemas": ["${scimSchemas.patch}"], "Operations": [{"op", "path", "value"}]} with at most ${mostOperations} operations.`,
    )
  refuseInherited(parsed.data.Operations)
  return parsed.data.Operations.flatMap(({ op, path, value }): Operation[] => {
    if (typeof path === 'string') return [{ op, path: writtenPath(path), value }]
    if (op === 'remove')
      throw new ScimProblem('malformed', 'noTarget', 'A remove operation says with path what to remove.')
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new ScimProblem(
        'malformed',
        'invalidValue',
        'An operation without a path has an object as its value.',
      )
    return Object.entries(value).flatMap(([name, one]: [string, unknown]) => named(op, name, one))
  })
}

/** An extension is written under its own name, and changed attribute by attribute. */
function named(op: Operation['op'], name: string, value: unknown): Operation[] {
  const isExtension = name.toLowerCase() === scimSchemas.enterprise.toLowerCase()
  if (!isExtension || typeof value !== 'object' || value === null)
    return [{ op, path: writtenPath(name), value }]
  return Object.entries(value).map(([part, one]: [string, unknown]) => ({
    op,
    path: `${scimSchemas.enterprise}:${part}`,
    value: one,
  }))
}

/** The path with its first name as the schema writes it, and without the schema where that is the core's. */
function writtenPath(path: string): string {
  const bare = path.replace(/^urn:ietf:params:scim:schemas:core:2\.0:(User|Group):/i, '')
  if (/^urn:/i.test(bare)) return bare
  const [name = ''] = /^[^.[]+/.exec(bare) ?? []
  return attributeName(name) + bare.slice(name.length)
}

const inherited = /(^|[.[\]:])(__proto__|constructor|prototype)($|[.[\]:])/i

/** Names that would reach what all objects share. */
function refuseInherited(value: unknown): void {
  if (Array.isArray(value)) return value.forEach(refuseInherited)
  if (typeof value !== 'object' || value === null) return
  for (const [name, one] of Object.entries(value)) {
    if (inherited.test(name) || (name === 'path' && typeof one === 'string' && inherited.test(one)))
      throw new ScimProblem('malformed', 'invalidPath', 'There is no such attribute.')
    refuseInherited(one)
  }
}

const readOnly = /^(id|meta|groups|schemas)([.[]|$)/i

/** The user after the operations. */
export async function patchedUser(
  user: Readonly<Record<string, unknown>>,
  operations: readonly Operation[],
): Promise<Record<string, unknown>> {
  const { scimPatch, ScimError } = await import('./commonjs.ts')
  const resource = structuredClone(user) as Record<string, unknown> & ScimResource
  // The same value again changes nothing: some clients send the id along.
  const wanted = operations.filter(({ path }) => !readOnly.test(path))
  try {
    return { ...scimPatch(resource, wanted as ScimPatchOperation[]) }
  } catch (cause) {
    if (cause instanceof ScimError)
      throw new ScimProblem('malformed', kindOf(cause.scimCode ?? ''), cause.message, { cause })
    throw new ScimProblem('malformed', 'invalidPath', 'These operations cannot be carried out.', { cause })
  }
}

/** The form of the operations has been checked before, so what is left is where they point to. */
const kindOf = (code: string): 'invalidPath' | 'noTarget' => (code === 'noTarget' ? code : 'invalidPath')

const oneMember = /^members\[\s*value\s+eq\s+"([^"\\]{1,100})"\s*\]$/i

/** What the operations make of a group; members are named, never read, so that changes at once do not undo each other. */
export function groupChange(operations: readonly Operation[]): ScimGroupWrite {
  const add = new Set<string>()
  const remove = new Set<string>()
  const change: ScimGroupWrite = {}
  const taken = (ids: readonly string[]) => {
    for (const id of ids) {
      add.delete(id)
      remove.add(id)
    }
  }
  for (const { op, path, value } of operations) {
    const [, only] = oneMember.exec(path) ?? []
    const name = path.toLowerCase()
    if (only !== undefined && op === 'remove') taken([only])
    else if (name === 'members' && op === 'add') {
      for (const id of memberIds(value)) {
        remove.delete(id)
        add.add(id)
      }
    } else if (name === 'members' && op === 'remove' && value !== undefined && value !== null)
      taken(memberIds(value))
    else if (name === 'members') {
      change.members = op === 'remove' ? [] : memberIds(value)
      add.clear()
      remove.clear()
    } else if (name === 'displayname' && op !== 'remove') change.name = groupName(value)
    else if (name === 'externalid') change.externalId = op === 'remove' ? null : externalId(value)
    else if (!readOnly.test(path))
      throw new ScimProblem(
        'malformed',
        'invalidPath',
        `A group has no attribute "${path.slice(0, 100)}" to change.`,
      )
  }
  return { ...change, add: [...add], remove: [...remove] }
}

const invalid = (detail: string) => new ScimProblem('malformed', 'invalidValue', detail)

/** `[{"value": id}, …]`, one of them, or the bare ids. */
export function memberIds(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > mostMembers) throw invalid(`At most ${mostMembers} members can be given at once.`)
  const ids = list.map((one) =>
    typeof one === 'object' && one !== null ? (one as { value?: unknown }).value : one,
  )
  if (!ids.every((id): id is string => typeof id === 'string' && id.length > 0 && id.length <= 100))
    throw invalid('Members are {"value": <the id of a user>}.')
  return [...new Set(ids)]
}

export function groupName(value: unknown): string {
  const name = typeof value === 'string' ? value.trim() : ''
  if (name === '' || name.length > 100) throw invalid('displayName is a text of 1 to 100 characters.')
  return name
}

export function externalId(value: unknown): string | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string' || value.length > 255)
    throw invalid('externalId is a text of at most 255 characters.')
  return value
}
