import { isInRanges } from './address-range.ts'
import { allowedBy, grantable, type GrantKind, type Level, type ResourceId } from './access.ts'
import type { Id } from './id.ts'
import type { QuotaName } from './quota.ts'
import { isRole, permissionsOfRole, type Permission } from './role.ts'

export type Question = {
  permission: Permission
  resource?: { kind: GrantKind; id: ResourceId } | undefined
  /** From where it would be asked. */
  address?: string | undefined
}

/** What allows it. */
export type Reason =
  | { by: 'role'; role: string; of: 'member' | 'service account'; words: string }
  | {
      by: 'grant'
      grantId: Id<'grant'>
      on: GrantKind
      id: string
      level: Level
      team?: Id<'team'>
      words: string
    }
  | { by: 'project'; projectId: string; words: string }

/**
 * What narrows it or stands in its way: 'now' nothing is let through; at the next 'sign-in'; only in 'part' of what the
 * permission is for; or 'no', it is met.
 */
export type Limit = {
  by:
    | 'scope'
    | 'project'
    | 'expiry'
    | 'service account'
    | 'suspension'
    | 'deletion'
    | 'address'
    | 'second factor'
    | 'single sign-on'
    | 'quota'
  blocks: 'now' | 'sign-in' | 'part' | 'no'
  words: string
}

/** One that would be enough, of what is not there. */
export type Missing = { what: 'role' | 'grant' | Limit['by']; words: string }

export type Explanation = {
  allowed: boolean
  reasons: Reason[]
  limits: Limit[]
  missing: Missing[]
  words: string
}

/** A grant on the resource or its project that the person has, and whether it is one for the permission. */
export type GrantThere = {
  grantId: Id<'grant'>
  kind: GrantKind
  id: ResourceId
  level: Level
  team?: Id<'team'>
  teamName?: string
  allows: boolean
}

export type Subject = {
  /** As people read it. */
  name: string
  role: string
  roleName?: string | undefined
  kind: 'member' | 'service account'
  grants: readonly GrantThere[]
  /** The project that the resource is in, or is. */
  resourceProject: string | null
  hasFactor: boolean
  /** Of a key of theirs. */
  key?: {
    scopes: readonly string[]
    projectId: string | null
    ipAllow: readonly string[]
    isExpired: boolean
    isDisabled: boolean
  }
}

/** What the tenant has settled; TenantRecord and its spent quotas. */
export type Settled = {
  roles: Readonly<Record<string, readonly Permission[]>>
  suspended: boolean
  deletesAt?: string | undefined
  ipAllow: readonly string[]
  mfaRoles: readonly string[]
  requireSso: boolean
  spent: readonly QuotaName[]
}

/** Everything that decides whether somebody may, as the requests decide it: a test compares the two. */
export function explain(question: Question, subject: Subject, settled: Settled): Explanation {
  const reasons = reasonsOf(question, subject, settled)
  const limits = [...keyLimits(question, subject), ...tenantLimits(question, subject, settled)]
  const blocking = limits.filter(({ blocks }) => blocks === 'now')
  const allowed = reasons.length > 0 && blocking.length === 0
  const missing = allowed
    ? []
    : [
        ...(reasons.length > 0 ? [] : missingOf(question, subject)),
        ...blocking.map(({ by, words }) => ({ what: by, words })),
      ]
  return {
    allowed,
    reasons,
    limits,
    missing,
    words: wordsOf(question, subject, allowed, { reasons, limits, missing }),
  }
}

const everyGrant = (key: Subject['key'], permission: Permission): boolean =>
  grantable.has(permission) &&
  (key === undefined || (key.projectId === null && permission !== 'access:write'))

function reasonsOf({ permission, resource }: Question, subject: Subject, { roles }: Settled): Reason[] {
  const { role, roleName, kind, key, grants } = subject
  const reasons: Reason[] = []
  if (permissionsOfRole(role, roles).includes(permission) && (!key?.projectId || inProject(permission))) {
    const whose = kind === 'member' ? 'The role' : 'The role of the service account,'
    const words = `${whose} ${isRole(role) ? role : `"${roleName ?? role}"`} allows it everywhere.`
    reasons.push({ by: 'role', role, of: kind, words })
  }
  if (resource && kind === 'member' && everyGrant(key, permission))
    for (const { grantId, kind: on, id, level, team, teamName, allows } of grants) {
      if (!allows) continue
      const to = team ? ` to team "${teamName ?? team}"` : ''
      const words = `The grant of "${level}" on ${on} ${id}${to} allows it.`
      reasons.push({ by: 'grant', grantId, on, id, level, ...(team ? { team } : {}), words })
    }
  if (reasons.length > 0 && key?.projectId)
    reasons.push({
      by: 'project',
      projectId: key.projectId,
      words: 'The key is bound to a project, where it may do what its scopes and that role allow.',
    })
  return reasons
}

/** What a key that is bound to a project can do there. */
const inProject = (permission: Permission): boolean => allowedBy('project', 'edit').includes(permission)

function keyLimits(
  { permission, resource, address }: Question,
  { key, resourceProject, kind }: Subject,
): Limit[] {
  if (!key) return []
  const { scopes, projectId, ipAllow, isExpired, isDisabled } = key
  const limits: Limit[] = [
    scopes.includes(permission)
      ? { by: 'scope', blocks: 'no', words: `The key has the scope ${permission}.` }
      : { by: 'scope', blocks: 'now', words: `The key does not have the scope ${permission}.` },
  ]
  if (projectId !== null) {
    const isIn = resource !== undefined && resourceProject === projectId
    limits.push({
      by: 'project',
      blocks: isIn && inProject(permission) ? 'no' : 'now',
      words: !inProject(permission)
        ? `The key is bound to project ${projectId}, and ${permission} is nothing that a project has.`
        : isIn
          ? `The key is bound to project ${projectId}, which this is in.`
          : `The key is bound to project ${projectId}, and this is not in it.`,
    })
  }
  if (isExpired) limits.push({ by: 'expiry', blocks: 'now', words: 'The key has expired.' })
  if (kind === 'service account' && isDisabled)
    limits.push({ by: 'service account', blocks: 'now', words: 'The service account is disabled.' })
  if (ipAllow.length > 0) limits.push(addressLimit('The key', ipAllow, address))
  return limits
}

function addressLimit(whose: string, ranges: readonly string[], address: string | undefined): Limit {
  const only = `${whose} may be used only from ${ranges.join(', ')}`
  if (address === undefined) return { by: 'address', blocks: 'part', words: `${only}.` }
  return isInRanges(address, ranges)
    ? { by: 'address', blocks: 'no', words: `${only}, which ${address} is in.` }
    : { by: 'address', blocks: 'now', words: `${only}, and ${address} is not in it.` }
}

/** What an owner can still do in a closed tenant; see http/closed-tenant.ts. */
const ofOwners: ReadonlySet<Permission> = new Set([
  'tenant:read',
  'tenant:write',
  'audit:read',
  'privacy:write',
])

function tenantLimits({ permission, address }: Question, subject: Subject, settled: Settled): Limit[] {
  const { role, key, hasFactor } = subject
  const limits: Limit[] = []
  const isOwn = key === undefined && permissionsOfRole(role, settled.roles).includes('tenant:write')
  const closed = isOwn && ofOwners.has(permission) ? 'part' : 'now'
  if (settled.deletesAt !== undefined)
    limits.push({
      by: 'deletion',
      blocks: closed,
      words: `The tenant was deleted and is erased on ${settled.deletesAt.slice(0, 10)}.`,
    })
  else if (settled.suspended)
    limits.push({ by: 'suspension', blocks: closed, words: 'The tenant is suspended.' })
  if (settled.ipAllow.length > 0) limits.push(addressLimit('The tenant', settled.ipAllow, address))
  if (key === undefined) {
    if (settled.mfaRoles.includes(role) || settled.mfaRoles.includes('all'))
      limits.push({
        by: 'second factor',
        blocks: hasFactor ? 'no' : 'sign-in',
        words: hasFactor
          ? 'The tenant demands a second factor of this role, and there is one.'
          : 'The tenant demands a second factor of this role, and there is none: the next sign-in must set one up.',
      })
    if (settled.requireSso)
      limits.push({
        by: 'single sign-on',
        blocks: 'sign-in',
        words: 'The tenant lets nobody sign in but through its identity provider.',
      })
  }
  return [...limits, ...settled.spent.flatMap((name) => quotaLimit(name, permission))]
}

/** The permission whose use a spent quota ends in part: to begin what it counts. */
const spends: Partial<Record<QuotaName, readonly [Permission, string]>> = {
  runs: ['runs:write', 'no run can be started'],
  rows: ['runs:write', 'no run can be started'],
  computeMs: ['runs:write', 'no run can be started'],
  storageBytes: ['connections:write', 'no file can be uploaded'],
  members: ['members:write', 'nobody can be invited'],
}

function quotaLimit(name: QuotaName, permission: Permission): Limit[] {
  if (name === 'requests') {
    const some = permission === 'tenant:read' || permission === 'usage:read'
    const words = 'The plan’s requests of this month are used up (quota: requests).'
    return [{ by: 'quota', blocks: some ? 'part' : 'now', words }]
  }
  const [wanted, what] = spends[name] ?? []
  if (wanted !== permission || what === undefined) return []
  return [{ by: 'quota', blocks: 'part', words: `The plan has no more left (quota: ${name}): ${what}.` }]
}

function missingOf({ permission, resource }: Question, subject: Subject): Missing[] {
  const { kind, key, role, roleName } = subject
  const named = isRole(role) ? role : `"${roleName ?? role}"`
  const missing: Missing[] = [{ what: 'role', words: `The role ${named} does not have ${permission}.` }]
  if (kind === 'member' && everyGrant(key, permission))
    missing.push({
      what: 'grant',
      words: resource
        ? `No grant on the ${resource.kind} or its project allows ${permission}.`
        : `Grants allow ${permission} only on single resources.`,
    })
  return missing
}

function wordsOf(
  { permission, resource }: Question,
  { name, role, grants, key }: Subject,
  allowed: boolean,
  { reasons, limits, missing }: Pick<Explanation, 'reasons' | 'limits' | 'missing'>,
): string {
  const who = key ? `The key of ${name}` : name
  const where = resource ? ` on ${resource.kind} ${resource.id}` : ''
  const said = (some: readonly { words: string }[]) => some.map(({ words }) => words).join(' ')
  if (allowed) {
    const but = limits.filter(({ blocks }) => blocks !== 'no')
    return `${who} has ${permission}${where}: ${said([...reasons, ...but])}`
  }
  const had = grants.map(({ level, kind, team }) => `"${level}" on the ${kind}${team ? ' by a team' : ''}`)
  const few =
    reasons.length === 0 && had.length > 0
      ? ` What there is by grants, ${had.join(', ')}, is not enough.`
      : ''
  const as = reasons.length === 0 ? ` as ${role}` : ''
  return `${who} does not have ${permission}${where}${as}: ${said(missing)}${few}`
}
