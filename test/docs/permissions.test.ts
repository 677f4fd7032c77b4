import { describe, expect, it } from 'vitest'
import { permissions, roles } from '#src/domain/role.ts'
import { permissionsDocument } from './permissions.ts'

describe('docs/security/permissions.md', () => {
  it('is what the tables of roles, grants and routes say today', async () => {
    await expect(permissionsDocument()).toMatchFileSnapshot('../../docs/security/permissions.md')
  })

  it('has a row for every resource and action, and a column for every role', () => {
    const [, ...lines] = permissionsDocument()
      .split('\n')
      .filter((line) => line.startsWith('| '))
    for (const one of permissions) {
      const [resource = '', action = ''] = one.split(':')
      expect(
        lines.filter((line) => new RegExp(`^\\| ${resource} +\\| ${action} +\\|`).test(line)),
      ).toHaveLength(1)
    }
    expect(permissionsDocument()).toMatch(new RegExp(`\\| ${roles.join(' +\\| ')} +\\|`))
  })
})
