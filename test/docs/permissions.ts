import { allowedBy, grantKinds, levels } from '#src/domain/access.ts'
import { granted, permissions, roles, type Permission } from '#src/domain/role.ts'
import { entries } from '#test/routes/walk/entries.ts'
import type { Walked } from '#test/routes/walk/route.ts'

/** docs/security/permissions.md, from the tables that decide and from the walk over the routes. */
export const permissionsDocument = (): string =>
  `${[
    '# Who may do what',
    'Made from `src/domain/role.ts`, `src/domain/access.ts` and `test/routes/walk`; `test/docs/permissions.test.ts` fails when it is not what they say, and makes it anew with `-u`. That the API does exactly this, for every route, role and kind of credential, is what `test/access/api` proves; that the database does, `test/access/matrix.test.ts`.',
    '## Roles',
    table(['resource', 'action', ...roles], permissions.map(roleRow)),
    'A role of the tenant’s own holds any of these. A key may do what it was given and its owner may do now. Nobody gives, in a role, a key, an invitation or a grant, what they do not have.',
    '## Grants on a single resource',
    'Each level includes those to its left. A grant on a project holds for everything in it. A run, a backfill, an alert and a dead letter are their pipeline’s.',
    table(['on a', ...levels], grantKinds.map(grantRow)),
    'Without the permission and without a grant a resource is not there (404), and not in lists; with a grant that does not reach far enough the answer is 403.',
    '## Routes',
    'Where more than one permission is named, all are needed. What a person does with their own account and keys needs none.',
    table(['permission', 'routes'], permissions.flatMap(routesRow)),
  ].join('\n\n')}\n`

function roleRow(permission: Permission): string[] {
  const [resource = '', action = ''] = permission.split(':')
  const has = roles.map((role) => (granted[role].some((one) => one === permission) ? '✓' : ''))
  return [resource, action, ...has]
}

function grantRow(kind: (typeof grantKinds)[number]): string[] {
  const cells = levels.map((level, n) => {
    const before = n === 0 ? [] : allowedBy(kind, levels[n - 1] ?? level)
    const more = allowedBy(kind, level).filter((one) => !before.includes(one))
    return more.length === 0 ? '' : more.map((one) => `\`${one}\``).join(', ')
  })
  return [kind, ...cells]
}

const words = ({ method, path, also, by }: Walked): string => {
  const needs = [
    ...(also.length > 0 ? [`also ${also.map((one) => `\`${one}\``).join(', ')}`] : []),
    ...(by === undefined ? [] : [by === 'person' ? 'people only' : 'keys only']),
  ]
  return `\`${method} ${path}\`${needs.length > 0 ? ` (${needs.join('; ')})` : ''}`
}

const routesRow = (permission: Permission): string[][] => {
  const found = entries.filter(({ needs }) => needs === permission)
  return found.length === 0 ? [] : [[`\`${permission}\``, found.map(words).join('<br>')]]
}

/** As the formatter writes one. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, ...[head, ...rows].map((row) => (row[column] ?? cell).length)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}
