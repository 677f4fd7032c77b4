import { describe, expect, it } from 'vitest'
import { explain, type Limit, type Question, type Settled, type Subject } from '#src/domain/explain.ts'
import { newId } from '#src/domain/id.ts'

const pipeline = newId('pipeline')
const project = newId('project')
const own = newId('role')
const onPipeline: Question = { permission: 'pipelines:write', resource: { kind: 'pipeline', id: pipeline } }

const nobody: Subject = {
  name: 'ada@example.com',
  role: 'guest',
  kind: 'member',
  grants: [],
  resourceProject: project,
  hasFactor: false,
}
const free: Settled = {
  roles: { [own]: ['pipelines:write'] },
  suspended: false,
  ipAllow: [],
  mfaRoles: [],
  requireSso: false,
  spent: [],
}
const key: NonNullable<Subject['key']> = {
  scopes: ['pipelines:write', 'pipelines:read', 'tenant:write', 'members:write'],
  projectId: null,
  ipAllow: [],
  isExpired: false,
  isDisabled: false,
}
const grant = (level: 'read' | 'edit', more: object = {}) => ({
  grantId: newId('grant'),
  kind: 'pipeline' as const,
  id: pipeline,
  level,
  allows: level === 'edit',
  ...more,
})

describe('what allows it', () => {
  const team = { team: newId('team'), teamName: 'Loaders' }
  it.each<[string, Partial<Subject>, object[]]>([
    ['a role of ours', { role: 'developer' }, [{ by: 'role', role: 'developer', of: 'member' }]],
    [
      'a role of the tenant’s own, by its name',
      { role: own, roleName: 'Pipe fitter' },
      [{ by: 'role', role: own, words: expect.stringContaining('"Pipe fitter"') }],
    ],
    [
      'a grant',
      { grants: [grant('read'), grant('edit')] },
      [{ by: 'grant', on: 'pipeline', id: pipeline, level: 'edit' }],
    ],
    [
      'a grant to a team, by its name',
      { grants: [grant('edit', team)] },
      [{ by: 'grant', team: team.team, words: expect.stringContaining('to team "Loaders"') }],
    ],
    [
      'all of them, each by itself',
      { role: 'admin', grants: [grant('edit'), grant('edit', team)] },
      [{ by: 'role' }, { by: 'grant' }, { by: 'grant', team: team.team }],
    ],
    [
      'the role of a service account, through its key',
      { role: 'developer', kind: 'service account', key },
      [{ by: 'role', role: 'developer', of: 'service account' }],
    ],
    [
      'the role within the one project of a key, and no grant',
      { role: 'developer', grants: [grant('edit')], key: { ...key, projectId: project } },
      [{ by: 'role' }, { by: 'project', projectId: project }],
    ],
  ])('is named: %s', (_, subject, reasons) => {
    const found = explain(onPipeline, { ...nobody, ...subject }, free)
    expect(found).toMatchObject({ allowed: true, reasons, missing: [] })
    for (const { words } of found.reasons) expect(found.words).toContain(words)
  })
})

describe('what is missing', () => {
  it.each<[string, Question, Partial<Subject>, object[]]>([
    ['role and grant', onPipeline, { grants: [grant('read')] }, [{ what: 'role' }, { what: 'grant' }]],
    ['the role alone, where no grant can help', { permission: 'members:read' }, {}, [{ what: 'role' }]],
    [
      'the scope, though the owner may',
      { ...onPipeline, permission: 'runs:write' },
      { role: 'owner', key },
      [{ what: 'scope', words: 'The key does not have the scope runs:write.' }],
    ],
    [
      'the project, when a key is bound to another one',
      onPipeline,
      { role: 'owner', resourceProject: null, key: { ...key, projectId: project } },
      [{ what: 'project', words: expect.stringContaining('is not in it') }],
    ],
    [
      'the whole tenant, to a bound key that asks for it',
      { permission: 'tenant:write' },
      { role: 'owner', key: { ...key, projectId: project } },
      [{ what: 'role' }, { what: 'project', words: expect.stringContaining('nothing that a project has') }],
    ],
    [
      'a role of its own, to a service account: it has no grants',
      onPipeline,
      { kind: 'service account', grants: [grant('edit')], key },
      [{ what: 'role' }],
    ],
    [
      'what a grant could give, where the whole tenant is asked for',
      { permission: 'pipelines:read' },
      { grants: [] },
      [{ what: 'role' }, { what: 'grant', words: expect.stringContaining('only on single resources') }],
    ],
    ['time', onPipeline, { role: 'owner', key: { ...key, isExpired: true } }, [{ what: 'expiry' }]],
    [
      'an enabled service account',
      onPipeline,
      { role: 'owner', kind: 'service account', key: { ...key, isDisabled: true } },
      [{ what: 'service account' }],
    ],
  ])('is named: %s', (_, question, subject, missing) => {
    const found = explain(question, { ...nobody, ...subject }, free)
    expect(found.missing).toMatchObject(missing)
    expect(found.missing).toHaveLength(missing.length)
    expect(found.allowed).toBe(false)
    for (const { words } of found.missing) expect(found.words).toContain(words)
  })
})

describe('what stands in the way', () => {
  const owner = { role: 'owner' }
  const at = (address: string): Question => ({ ...onPipeline, address })
  const inside = { ipAllow: ['203.0.113.0/24'] }
  it.each<[string, Question, Partial<Subject>, Partial<Settled>, Limit['by'], Limit['blocks']]>([
    ['a suspended tenant', onPipeline, owner, { suspended: true }, 'suspension', 'now'],
    [
      'but not what its owner needs',
      { permission: 'tenant:write' },
      owner,
      { suspended: true },
      'suspension',
      'part',
    ],
    [
      'but that a key needs too',
      { permission: 'tenant:write' },
      { ...owner, key },
      { suspended: true },
      'suspension',
      'now',
    ],
    ['a deleted tenant', onPipeline, owner, { deletesAt: '2030-01-02T00:00:00Z' }, 'deletion', 'now'],
    ['a list of addresses, whichever it is', onPipeline, owner, inside, 'address', 'part'],
    ['an address that is in it', at('203.0.113.9'), owner, inside, 'address', 'no'],
    ['one that is not', at('198.51.100.1'), owner, inside, 'address', 'now'],
    [
      'one that is not in the key’s',
      at('198.51.100.1'),
      { ...owner, key: { ...key, ...inside } },
      {},
      'address',
      'now',
    ],
    [
      'a second factor that is not there',
      onPipeline,
      owner,
      { mfaRoles: ['owner'] },
      'second factor',
      'sign-in',
    ],
    ['one that is', onPipeline, { ...owner, hasFactor: true }, { mfaRoles: ['all'] }, 'second factor', 'no'],
    ['single sign-on', onPipeline, owner, { requireSso: true }, 'single sign-on', 'sign-in'],
    ['no more requests', onPipeline, owner, { spent: ['requests'] }, 'quota', 'now'],
    ['of which some are free', { permission: 'usage:read' }, owner, { spent: ['requests'] }, 'quota', 'part'],
    [
      'no more runs',
      { ...onPipeline, permission: 'runs:write' },
      owner,
      { spent: ['runs'] },
      'quota',
      'part',
    ],
    [
      'no more room',
      { permission: 'connections:write' },
      owner,
      { spent: ['storageBytes'] },
      'quota',
      'part',
    ],
    ['no more members', { permission: 'members:write' }, owner, { spent: ['members'] }, 'quota', 'part'],
  ])('is named, with what it blocks: %s', (_, question, subject, settled, by, blocks) => {
    const found = explain(question, { ...nobody, ...subject }, { ...free, ...settled })
    expect(found.limits.filter((one) => one.by === by)).toEqual([
      { by, blocks, words: expect.any(String) as string },
    ])
    expect(found.reasons).toMatchObject([{ by: 'role', role: 'owner' }])
    expect(found.allowed).toBe(blocks !== 'now')
    expect(found.missing.map(({ what }) => what)).toEqual(blocks === 'now' ? [by] : [])
  })

  it('is nothing of second factors and single sign-on to a key, and nothing of quotas that it does not use', () => {
    const settled: Settled = {
      ...free,
      mfaRoles: ['all'],
      requireSso: true,
      spent: ['runs', 'members', 'rows'],
    }
    const found = explain(onPipeline, { ...nobody, role: 'owner', key }, settled)
    expect(found.limits).toEqual([{ by: 'scope', blocks: 'no', words: expect.any(String) as string }])
  })
})
