import type { UserId } from './id.ts'
import { Problem, type ProblemCode } from './problem.ts'

export const scimSchemas = {
  user: 'urn:ietf:params:scim:schemas:core:2.0:User',
  enterprise: 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User',
  group: 'urn:ietf:params:scim:schemas:core:2.0:Group',
  list: 'urn:ietf:params:scim:api:messages:2.0:ListResponse',
  patch: 'urn:ietf:params:scim:api:messages:2.0:PatchOp',
  error: 'urn:ietf:params:scim:api:messages:2.0:Error',
} as const

/** RFC 7644, table 9. */
export type ScimType =
  | 'invalidFilter'
  | 'tooMany'
  | 'uniqueness'
  | 'mutability'
  | 'invalidSyntax'
  | 'invalidPath'
  | 'noTarget'
  | 'invalidValue'
  | 'invalidVers'

/** A problem with the keyword that SCIM has for it. */
export class ScimProblem extends Problem {
  readonly scimType: ScimType

  constructor(code: ProblemCode, scimType: ScimType, detail: string, extra: { cause?: unknown } = {}) {
    super(code, detail, extra)
    this.scimType = scimType
  }
}

/** What is wrong with one value. */
export const invalidValue = (detail: string): ScimProblem =>
  new ScimProblem('malformed', 'invalidValue', detail)

type Comparison = 'eq' | 'ne' | 'co' | 'sw' | 'ew' | 'gt' | 'lt' | 'ge' | 'le'
/** A filter, parsed. */
export type ScimFilter =
  | { op: 'and' | 'or'; filters: ScimFilter[] }
  | { op: 'not'; filter: ScimFilter }
  | { op: '[]'; attrPath: string; valFilter: ScimFilter }
  | { op: 'pr'; attrPath: string }
  | { op: Comparison; attrPath: string; compValue: boolean | null | number | string }

/** One page by number: the first item is 1. */
export type ScimPage = { startIndex: number; count: number }

export type ScimUserWrite = {
  userName: string
  email: string
  externalId: string | null
  displayName: string | null
  givenName: string | null
  familyName: string | null
  active: boolean
  attributes: Record<string, unknown>
}

export type ScimUser = ScimUserWrite & {
  id: UserId
  version: number
  groups: { id: string; name: string }[]
  createdAt: string
  updatedAt: string
}

export type ScimGroup = {
  id: string
  name: string
  externalId: string | null
  version: number
  members?: { id: UserId; name: string }[]
  createdAt: string
  updatedAt: string
}

export type ScimGroupWrite = {
  name?: string
  externalId?: string | null
  /** All of them. */
  members?: string[]
  add?: string[]
  remove?: string[]
}
