import {
  deleteScimGroup,
  findScimGroup,
  listScimGroups,
  writeScimGroup,
  type GroupOutcome,
} from '#src/db/scim-groups.ts'
import { newId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { scimSchemas, ScimProblem, type ScimGroup, type ScimPage } from '#src/domain/scim.ts'
import type { Context } from '../context.ts'
import { parseFilter } from './filter.ts'
import { externalId, groupChange, groupName, memberIds, operationsOf } from './patch.ts'
import { versionTag } from './user-resource.ts'
import { allowScim, keepingAnOwner, markChanges } from './users.ts'

type Versions = readonly number[] | 'any'

export async function readGroups(
  ctx: Context,
  filter: string | undefined,
  page: ScimPage,
  withMembers: boolean,
): Promise<{ total: number; items: ScimGroup[] }> {
  allowScim(ctx)
  return listScimGroups(ctx.tenantDb, await parseFilter(filter), page, withMembers)
}

export async function readGroup(ctx: Context, id: string, withMembers = true): Promise<ScimGroup> {
  allowScim(ctx)
  const group = await findScimGroup(ctx.tenantDb, id, withMembers)
  if (!group) throw notFound('group')
  return group
}

export async function createGroup(ctx: Context, body: Readonly<Record<string, unknown>>): Promise<ScimGroup> {
  allowScim(ctx)
  const id = newId('team', ctx.now())
  await settled(ctx, writeScimGroup(ctx.tenantDb, id, true, 'any', wholeOf(body)))
  return readGroup(ctx, id)
}

export async function replaceGroup(
  ctx: Context,
  id: string,
  versions: Versions,
  body: Readonly<Record<string, unknown>>,
): Promise<ScimGroup> {
  allowScim(ctx)
  await settled(ctx, writeScimGroup(ctx.tenantDb, id, false, versions, wholeOf(body)))
  return readGroup(ctx, id)
}

export async function patchGroup(
  ctx: Context,
  id: string,
  versions: Versions,
  body: unknown,
): Promise<ScimGroup> {
  allowScim(ctx)
  await settled(ctx, writeScimGroup(ctx.tenantDb, id, false, versions, groupChange(operationsOf(body))))
  return readGroup(ctx, id)
}

export async function deleteGroup(ctx: Context, id: string, versions: Versions): Promise<void> {
  allowScim(ctx)
  await settled(ctx, deleteScimGroup(ctx.tenantDb, id, versions))
}

const wholeOf = (body: Readonly<Record<string, unknown>>) => {
  const at = (name: string) =>
    Object.entries(body).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1]
  const members = at('members')
  return {
    name: groupName(at('displayName')),
    externalId: externalId(at('externalId')),
    members: members === undefined || members === null ? [] : memberIds(members),
  }
}

async function settled(ctx: Context, work: Promise<GroupOutcome>): Promise<void> {
  const done = await keepingAnOwner(work)
  if (done.outcome !== 'done') throw refusals[done.outcome]()
  await markChanges(ctx, done.changes)
}

const refusals = {
  absent: () => notFound('group'),
  stale: () => new Problem('precondition_failed', 'It has changed since you read it; read it again.'),
  taken: () => new ScimProblem('conflict', 'uniqueness', 'There is a group with this displayName already.'),
  unknown_member: () =>
    new ScimProblem('malformed', 'invalidValue', 'One of the members is no user of this tenant.'),
}

export function groupToScim(group: ScimGroup, baseUrl: string): Record<string, unknown> {
  return {
    schemas: [scimSchemas.group],
    id: group.id,
    displayName: group.name,
    ...(group.externalId === null ? {} : { externalId: group.externalId }),
    ...(group.members
      ? {
          members: group.members.map(({ id, name }) => ({
            value: id,
            $ref: `${baseUrl}/Users/${id}`,
            display: name,
            type: 'User',
          })),
        }
      : {}),
    meta: {
      resourceType: 'Group',
      created: new Date(group.createdAt).toISOString(),
      lastModified: new Date(group.updatedAt).toISOString(),
      location: `${baseUrl}/Groups/${group.id}`,
      version: versionTag(group.version),
    },
  }
}
