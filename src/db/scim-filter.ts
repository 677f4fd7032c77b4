import { sql, type SQL } from 'drizzle-orm'
import { ScimProblem, type ScimFilter } from '#src/domain/scim.ts'

type Attribute =
  /** Compared as SCIM wants it: most names and addresses without their case, ids and external ids with it. */
  | { kind: 'text'; value: SQL; exact?: true }
  | { kind: 'boolean'; value: SQL }
  | { kind: 'time'; value: SQL }
  /** A list of ids: true when one of them fits. */
  | { kind: 'ids'; holds: (fits: (id: SQL) => SQL) => SQL }

type Attributes = Record<string, Attribute>

/** Attributes of users, by their path in lower case, as columns of scim_users u. */
export const userAttributes: Attributes = {
  id: { kind: 'text', value: sql`u.user_id`, exact: true },
  username: { kind: 'text', value: sql`u.user_name` },
  externalid: { kind: 'text', value: sql`u.external_id`, exact: true },
  displayname: { kind: 'text', value: sql`u.display_name` },
  'name.givenname': { kind: 'text', value: sql`u.given_name` },
  'name.familyname': { kind: 'text', value: sql`u.family_name` },
  emails: { kind: 'text', value: sql`u.email` },
  'emails.value': { kind: 'text', value: sql`u.email` },
  'emails.type': { kind: 'text', value: sql`'work'` },
  'emails.primary': { kind: 'boolean', value: sql`true` },
  active: { kind: 'boolean', value: sql`u.active` },
  'meta.created': { kind: 'time', value: sql`u.created_at` },
  'meta.lastmodified': { kind: 'time', value: sql`u.updated_at` },
}

const members = (fits: (id: SQL) => SQL) => sql`(exists (
  select from team_members m where m.tenant_id = t.tenant_id and m.team_id = t.id and ${fits(sql`m.user_id`)})
  or exists (select from scim_users s where s.tenant_id = t.tenant_id and t.id = any (s.held_teams) and ${fits(sql`s.user_id`)}))`

/** Attributes of groups, as columns of teams t. */
export const groupAttributes: Attributes = {
  id: { kind: 'text', value: sql`t.id`, exact: true },
  displayname: { kind: 'text', value: sql`t.name` },
  externalid: { kind: 'text', value: sql`t.external_id`, exact: true },
  members: { kind: 'ids', holds: members },
  'members.value': { kind: 'ids', holds: members },
  'meta.lastmodified': { kind: 'time', value: sql`t.scim_at` },
}

/** The filter as a condition: every name from the tables above, every value a parameter. */
export function filterSql(filter: ScimFilter, attributes: Attributes, within = ''): SQL {
  switch (filter.op) {
    case 'and':
    case 'or': {
      const parts = filter.filters.map((one) => sql`(${filterSql(one, attributes, within)})`)
      return sql.join(parts, filter.op === 'and' ? sql` and ` : sql` or `)
    }
    case 'not':
      return sql`not (${filterSql(filter.filter, attributes, within)})`
    case '[]':
      return filterSql(filter.valFilter, attributes, `${bare(filter.attrPath)}.`)
    case 'pr':
    case 'eq':
    case 'ne':
    case 'co':
    case 'sw':
    case 'ew':
    case 'gt':
    case 'ge':
    case 'lt':
    case 'le':
      return comparison(filter, attributes, within)
  }
}

/** Names may be written with the schema before them. */
const bare = (path: string) => path.replace(/^urn:ietf:params:scim:schemas:core:2\.0:(User|Group):/i, '')

function comparison(
  filter: Extract<ScimFilter, { attrPath: string }>,
  attributes: Attributes,
  within: string,
): SQL {
  const path = `${within}${bare(filter.attrPath)}`.toLowerCase()
  const attribute = Object.hasOwn(attributes, path) ? attributes[path] : undefined
  if (!attribute || filter.op === '[]') throw refusal(`cannot filter by "${filter.attrPath}"`)
  if (attribute.kind === 'ids') {
    if (filter.op === 'pr') return attribute.holds(() => sql`true`)
    if (filter.op === 'eq') return attribute.holds((id) => sql`${id} = ${String(filter.compValue)}`)
    throw refusal(`"${filter.attrPath}" can be compared with eq`)
  }
  // What is not there fits nothing but ne.
  if (filter.op === 'pr') return sql`${attribute.value} is not null`
  if (filter.compValue === null) {
    if (filter.op === 'eq') return sql`${attribute.value} is null`
    if (filter.op === 'ne') return sql`${attribute.value} is not null`
    throw refusal('null can be compared with eq and ne')
  }
  switch (attribute.kind) {
    case 'boolean':
      return booleanComparison(attribute.value, filter.op, filter.compValue, filter.attrPath)
    case 'time':
      return timeComparison(attribute.value, filter.op, filter.compValue, filter.attrPath)
    case 'text': {
      const value = attribute.exact ? attribute.value : sql`lower(${attribute.value})`
      const given = attribute.exact ? String(filter.compValue) : String(filter.compValue).toLowerCase()
      return textComparison(value, filter.op, given)
    }
  }
}

type Operator = Exclude<Extract<ScimFilter, { attrPath: string }>['op'], '[]' | 'pr'>

const orders = { eq: sql`=`, gt: sql`>`, ge: sql`>=`, lt: sql`<`, le: sql`<=` } as const

function textComparison(value: SQL, op: Operator, given: string): SQL {
  switch (op) {
    case 'ne':
      return sql`${value} is distinct from ${given}`
    case 'co':
      return sql`coalesce(strpos(${value}, ${given}) > 0, false)`
    case 'sw':
      return sql`coalesce(starts_with(${value}, ${given}), false)`
    case 'ew':
      return sql`coalesce(right(${value}, length(${given})) = ${given}, false)`
    case 'eq':
    case 'gt':
    case 'ge':
    case 'lt':
    case 'le':
      return sql`coalesce(${value} ${orders[op]} ${given}, false)`
  }
}

/** Entra writes the text "False" where it means false. */
function booleanComparison(value: SQL, op: Operator, given: unknown, path: string): SQL {
  const text = String(given).toLowerCase()
  if (text !== 'true' && text !== 'false') throw refusal(`"${path}" is true or false`)
  if (op === 'eq') return sql`${value} = ${text === 'true'}::boolean`
  if (op === 'ne') return sql`${value} <> ${text === 'true'}::boolean`
  throw refusal(`"${path}" can be compared with eq and ne`)
}

function timeComparison(value: SQL, op: Operator, given: unknown, path: string): SQL {
  const at = new Date(String(given))
  if (Number.isNaN(at.getTime())) throw refusal(`"${path}" is a date and time`)
  const iso = at.toISOString()
  if (op === 'ne') return sql`${value} <> ${iso}::timestamptz`
  if (op === 'co' || op === 'sw' || op === 'ew') throw refusal(`"${path}" is no text`)
  return sql`${value} ${orders[op]} ${iso}::timestamptz`
}

const refusal = (why: string) => new ScimProblem('malformed', 'invalidFilter', `This filter ${why}.`)
